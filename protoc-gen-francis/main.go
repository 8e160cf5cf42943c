// protoc-gen-francis is a plugin of the Protobuf compiler. For every service that
// has the option (francis.v1.actor) it generates the typed Go code of the actor:
// the interface to implement, its registration with a host, and its proxy.
//
// It is run by buf or protoc together with protoc-gen-go; `protoc-gen-francis
// --help` shows how. A file path/to/file.proto with the Go package foov1 becomes
//
//	path/to/foov1francis/file.francis.go
//
// The plugin takes the parameters of protoc-gen-go (paths, module, M…) and
// package_suffix, the word that is appended to the name of the messages' package
// (default "francis"; empty: generate into the messages' own package).
//
// Package model reads and checks the contracts, package emit writes the code.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/protoc-gen-francis/internal/emit"
	"github.com/francis-actors/francis/protoc-gen-francis/internal/model"
)

const usage = `protoc-gen-francis generates typed Go actors from proto services. It is a plugin:
buf and protoc run it, not you. With buf, write into buf.gen.yaml

  version: v2
  plugins:
    - local: protoc-gen-go
      out: gen
      opt: paths=source_relative
    - local: protoc-gen-francis
      out: gen
      opt: paths=source_relative
      strategy: all

and run "buf generate". With protoc:

  protoc --go_out=gen --go_opt=paths=source_relative \
    --francis_out=gen --francis_opt=paths=source_relative path/to/file.proto

Options: paths, module and M as for protoc-gen-go, and
  package_suffix=WORD  ends the name of the generated package (default "francis";
                       empty: generate into the package of the messages)

Flags:
  -h, --help     print this text
      --version  print the version
`

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "protoc-gen-francis:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return serve(stdin, stdout, stderr)
	}
	var err error
	switch args[0] {
	case "--version", "-version":
		_, err = fmt.Fprintln(stdout, "protoc-gen-francis", version())
	case "--help", "-help", "-h":
		_, err = io.WriteString(stdout, usage)
	default:
		err = fmt.Errorf("unknown argument %q; see protoc-gen-francis --help", args[0])
	}
	return err
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}

// serve answers the one request of the compiler. What is wrong with the contracts
// goes into the answer; the returned error is for a request that has none.
func serve(stdin io.Reader, stdout, stderr io.Writer) error {
	in, err := io.ReadAll(stdin)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	req := new(pluginpb.CodeGeneratorRequest)
	if err := proto.Unmarshal(in, req); err != nil {
		return fmt.Errorf("decode the request: %w", err)
	}
	answer, err := respond(req, stderr)
	if err != nil {
		return err
	}
	out, err := proto.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode the response: %w", err)
	}
	if _, err := stdout.Write(out); err != nil {
		return fmt.Errorf("write the response: %w", err)
	}
	return nil
}

func respond(req *pluginpb.CodeGeneratorRequest, stderr io.Writer) (*pluginpb.CodeGeneratorResponse, error) {
	suffix := model.DefaultSuffix
	setParameter := func(name, value string) error {
		if name != "package_suffix" {
			return fmt.Errorf("unknown parameter %q; known are paths, module, M and package_suffix", name)
		}
		suffix = value
		return nil
	}
	plugin, err := protogen.Options{ParamFunc: setParameter}.New(req)
	if err != nil {
		return nil, err
	}
	plugin.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL | pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)
	plugin.SupportedEditionsMinimum = descriptorpb.Edition_EDITION_PROTO2
	plugin.SupportedEditionsMaximum = descriptorpb.Edition_EDITION_2024
	if err := generate(plugin, suffix, stderr); err != nil {
		plugin.Error(err)
	}
	return plugin.Response(), nil
}

func generate(plugin *protogen.Plugin, suffix string, stderr io.Writer) error {
	if err := model.CheckSuffix(suffix); err != nil {
		return err
	}
	files, problems, warnings := model.Build(plugin, suffix)
	for _, warning := range warnings {
		fmt.Fprintln(stderr, warning.Warning())
	}
	if len(problems) > 0 {
		return report(problems)
	}
	for _, file := range files {
		problems = append(problems, emit.File(plugin, file)...)
	}
	return report(problems)
}

// report makes one error of all problems, each on a line of its own: the
// compiler puts words of its own before the first.
func report(problems []contract.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	var text strings.Builder
	text.WriteString("wrong actor contracts:")
	for _, problem := range problems {
		text.WriteString("\n" + problem.String())
	}
	return errors.New(text.String())
}
