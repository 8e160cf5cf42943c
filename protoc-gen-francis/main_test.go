package main

import (
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ arg, stdout, err string }{
		{"--version", `^protoc-gen-francis \S+\n$`, ""},
		{"-version", `^protoc-gen-francis \S+\n$`, ""},
		{"--help", `(?s)^protoc-gen-francis generates .* plugin.*buf\.gen\.yaml.*--version  print the version\n$`, ""},
		{"-h", `(?s)buf\.gen\.yaml`, ""},
		{"a.proto", `^$`, `unknown argument "a.proto"; see protoc-gen-francis --help`},
	} {
		t.Run(c.arg, func(t *testing.T) {
			t.Parallel()
			var stdout strings.Builder
			err := run([]string{c.arg}, strings.NewReader(""), &stdout, io.Discard)
			if !regexp.MustCompile(c.stdout).MatchString(stdout.String()) {
				t.Errorf("printed %q", stdout.String())
			}
			if err == nil && c.err != "" || err != nil && err.Error() != c.err {
				t.Errorf("got the error %v, want %q", err, c.err)
			}
		})
	}
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	answer, err := respond(&pluginpb.CodeGeneratorRequest{}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	const want = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL | pluginpb.CodeGeneratorResponse_FEATURE_SUPPORTS_EDITIONS)
	if answer.GetSupportedFeatures() != want {
		t.Errorf("features are %b", answer.GetSupportedFeatures())
	}
	oldest, newest := answer.GetMinimumEdition(), answer.GetMaximumEdition()
	if oldest != int32(descriptorpb.Edition_EDITION_PROTO2) || newest != int32(descriptorpb.Edition_EDITION_2024) {
		t.Errorf("editions are %d to %d", oldest, newest)
	}
}

// TestBadRequest holds that what is no fault of a contract ends the plugin.
func TestBadRequest(t *testing.T) {
	t.Parallel()
	if err := run(nil, strings.NewReader("\xff"), io.Discard, io.Discard); err == nil || !strings.HasPrefix(err.Error(), "decode the request: ") {
		t.Errorf("got the error %v", err)
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	protos := t.TempDir()
	write(t, filepath.Join(protos, "p", "p.proto"), `syntax = "proto3"; package p; import "francis/v1/options.proto"; option go_package = "example.com/root/p;pv1";
service Cart { option (francis.v1.actor) = {}; }`)
	compiled := compile(t, workspace(t, protos))
	for _, c := range []struct{ parameter, file, pkg, err string }{
		{parameter: "", file: "example.com/root/p/pv1francis/p.francis.go", pkg: "pv1francis"},
		{parameter: "paths=source_relative", file: "p/pv1francis/p.francis.go", pkg: "pv1francis"},
		{parameter: "module=example.com/root", file: "p/pv1francis/p.francis.go", pkg: "pv1francis"},
		{parameter: "paths=source_relative,package_suffix=actors", file: "p/pv1actors/p.francis.go", pkg: "pv1actors"},
		{parameter: "paths=source_relative,package_suffix=", file: "p/p.francis.go", pkg: "pv1"},
		{parameter: "package_suffix=a-b", err: `package_suffix is "a-b", which cannot end the name of a Go package; use letters, digits and '_', for example package_suffix=francis`},
	} {
		t.Run(c.parameter, func(t *testing.T) {
			t.Parallel()
			answer, err := respond(requestFor(compiled, "p/", c.parameter), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if answer.GetError() != c.err {
				t.Fatalf("got the error %q, want %q", answer.GetError(), c.err)
			}
			for _, file := range answer.GetFile() {
				if file.GetName() != c.file || !strings.Contains(file.GetContent(), "\npackage "+c.pkg+"\n") {
					t.Errorf("got %s with\n%s", file.GetName(), file.GetContent())
				}
			}
		})
	}
}

func TestUnknownParameter(t *testing.T) {
	t.Parallel()
	_, err := respond(&pluginpb.CodeGeneratorRequest{Parameter: proto.String("suffix=x")}, io.Discard)
	const want = `unknown parameter "suffix"; known are paths, module, M and package_suffix`
	if err == nil || err.Error() != want {
		t.Errorf("got the error %v, want %s", err, want)
	}
}

// TestWarnings holds the warnings of method names to what go vet says of them.
func TestWarnings(t *testing.T) {
	t.Parallel()
	dir := workspace(t, corpus)
	template := generateTemplate(t, dir, "buf.gen.yaml", filepath.Join(dir, "out"), "")
	printed := buf(t, "generate", dir, "--template", template, "--path", filepath.Join(dir, "protos", "vetted"))
	const want = `vetted/v1/vetted.proto:21:3: warning: go vet wants every Go method ReadByte to be ReadByte() (byte, error) and will report this one; rename the rpc`
	if !strings.Contains("\n"+printed, "\n"+want+"\n") {
		t.Errorf("buf printed\n%s\nwithout the line\n%s", printed, want)
	}
	// A flag of its own keeps the run apart in the build cache: what was vetted as a
	// dependency of another package is not reported again (Go 1.26).
	vet, err := exec.Command("go", "vet", "-printf.funcs=torture", "./"+corpus+"/vetted/v1/vettedv1francis").CombinedOutput()
	if err == nil {
		t.Error("go vet reports nothing")
	}
	reported := regexp.MustCompile(`method (\w+)\(.* should have signature (.*)`)
	for _, report := range reported.FindAllStringSubmatch(string(vet), -1) {
		if text := "Go method " + report[1] + " to be " + report[2] + " and"; !strings.Contains(printed, text) {
			t.Errorf("go vet reports %s, and the plugin prints no %q", report[1], text)
		}
	}
	warned := regexp.MustCompile(`Go method (\w+) to be`)
	for _, warning := range warned.FindAllStringSubmatch(printed, -1) {
		if !strings.Contains(string(vet), "method "+warning[1]+"(") {
			t.Errorf("the plugin warns of %s, and go vet says nothing", warning[1])
		}
	}
}

// TestProtoc runs the plugin under protoc, which knows proto3 and sends other
// source locations than buf does.
func TestProtoc(t *testing.T) {
	t.Parallel()
	protoc, err := exec.LookPath("protoc")
	if err != nil {
		t.Skip("PROTOC IS NOT INSTALLED, so the plugin was not tried under it; install it with: apt-get install protobuf-compiler")
	}
	out := t.TempDir()
	goPlugin := filepath.Join(t.TempDir(), "protoc-gen-go")
	command(t, root, "go", "build", "-o", goPlugin, "google.golang.org/protobuf/cmd/protoc-gen-go")
	args := []string{
		"-I", corpus, "-I", filepath.Join(root, "proto"),
		"--plugin=" + plugin, "--francis_out=" + out, "--francis_opt=paths=source_relative",
		"--plugin=" + goPlugin, "--go_out=" + out, "--go_opt=paths=source_relative",
	}
	for _, name := range []string{"stateless/v1/stateless.proto", "twofiles/v1/a.proto", "twofiles/v1/b.proto", "shared/v1/shared.proto", "comments/v1/comments.proto", "wellknown/v1/wellknown.proto", "ids/v1/ids.proto"} {
		args = append(args, filepath.Join(corpus, name))
	}
	command(t, ".", protoc, args...)
	want := tree(t, corpus, ".francis.go")
	got := tree(t, out, ".francis.go")
	if len(got) != 6 {
		t.Errorf("protoc and the plugin wrote %d files", len(got))
	}
	for name := range maps.Keys(got) {
		if got[name] != want[name] {
			t.Errorf("%s differs from what buf and the plugin write (%s)", name, difference(got[name], want[name]))
		}
	}
}

// TestErrorsUnderCompilers holds what an author sees in the end.
func TestErrorsUnderCompilers(t *testing.T) {
	t.Parallel()
	protos := t.TempDir()
	write(t, filepath.Join(protos, "e", "e.proto"), `syntax = "proto3";
package e;
import "francis/v1/options.proto";
option go_package = "example.com/e";
service Cart {
  option (francis.v1.actor) = {type: "a/b" max_pending: 0};
}
`)
	const reason = "the actor type \"a/b\" has the character '/'; letters, digits, '.', '_', '~' and '-' are allowed; write for example type: \"a-b\""
	dir := workspace(t, protos)

	t.Run("buf", func(t *testing.T) {
		t.Parallel()
		template := generateTemplate(t, dir, "buf.gen.yaml", filepath.Join(dir, "out"), "")
		out, err := bufCommand("generate", dir, "--template", template, "--path", filepath.Join(dir, "protos", "e")).CombinedOutput()
		wantLines(t, string(out), err, "e/e.proto:6:32: "+reason, "e/e.proto:6:44: max_pending is 0; it must be between 1 and 1000000")
	})
	t.Run("protoc", func(t *testing.T) {
		t.Parallel()
		protoc, err := exec.LookPath("protoc")
		if err != nil {
			t.Skip("PROTOC IS NOT INSTALLED, so the plugin was not tried under it; install it with: apt-get install protobuf-compiler")
		}
		out, err := exec.Command(protoc, "-I", protos, "-I", filepath.Join(root, "proto"), "--plugin="+plugin, "--francis_out="+t.TempDir(), filepath.Join(protos, "e", "e.proto")).CombinedOutput()
		wantLines(t, string(out), err, "e/e.proto:6:3: "+reason, "e/e.proto:6:3: max_pending is 0; it must be between 1 and 1000000")
	})
}

// wantLines wants a compiler to have failed and printed lines.
func wantLines(t *testing.T, out string, err error, lines ...string) {
	t.Helper()
	if err == nil {
		t.Error("the compiler did not fail")
	}
	for _, line := range lines {
		if !strings.Contains("\n"+out+"\n", "\n"+line+"\n") {
			t.Errorf("printed was\n%s\nwithout the line\n%s", out, line)
		}
	}
}

// TestImportedActors holds that an actor which is only imported is not judged, but
// clashes with it are reported where this run can mend them.
func TestImportedActors(t *testing.T) {
	t.Parallel()
	protos := t.TempDir()
	write(t, filepath.Join(protos, "i", "a.proto"), `syntax = "proto3";
package i;
import "francis/v1/options.proto";
import "other/b.proto";
option go_package = "example.com/i";
message Ping { other.Ping ping = 1; }
service Cart { option (francis.v1.actor) = {type: "cart"}; }
`)
	write(t, filepath.Join(protos, "other", "b.proto"), `syntax = "proto3";
package other;
import "francis/v1/options.proto";
option go_package = "example.com/i";
message Ping {}
service Cart { option (francis.v1.actor) = {type: "cart" max_pending: 0}; }
`)
	answer, err := respond(requestFor(compile(t, workspace(t, protos)), "i/", ""), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	const want = `wrong actor contracts:
i/a.proto:7:1: the Go name Cart of the actor Cart is also generated for the actor Cart in other/b.proto; rename one of the services
i/a.proto:7:45: the actor type "cart" is already that of the service Cart in other/b.proto; choose another type`
	if answer.GetError() != want {
		t.Errorf("got\n%s\nwant\n%s", answer.GetError(), want)
	}
}
