package main

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

// maxLinesPerMethod is what a method may cost in generated lines.
const maxLinesPerMethod = 30

// thousandMethods is the proto of an actor with that many methods, every second
// one a view.
func thousandMethods() string {
	var methods strings.Builder
	for i := range 1000 {
		options := ";"
		if i%2 == 1 {
			options = " { option idempotency_level = NO_SIDE_EFFECTS; }"
		}
		fmt.Fprintf(&methods, "  // Method%d is one of many.\n  rpc Method%[1]d(Request) returns (Reply)%s\n", i, options)
	}
	return `syntax = "proto3";
package thousand;
import "francis/v1/options.proto";
option go_package = "github.com/francis-actors/francis/protoc-gen-francis/testdata/thousand";
message Request { string text = 1; }
message Reply { string text = 1; }
message State { string text = 1; }
service Thousand {
  option (francis.v1.actor) = {state: "State"};
` + methods.String() + "}\n"
}

func thousandWorkspace(tb testing.TB) string {
	tb.Helper()
	protos := tb.TempDir()
	write(tb, filepath.Join(protos, "thousand", "thousand.proto"), thousandMethods())
	return workspace(tb, protos)
}

// TestThousandMethods bounds the generated code of a method, prints how long the
// plugin takes as a process, and compiles what it wrote.
func TestThousandMethods(t *testing.T) {
	t.Parallel()
	dir := thousandWorkspace(t)
	req := requestFor(compile(t, dir), "thousand/", "paths=source_relative")
	start := time.Now()
	answer := runPlugin(t, req)
	took := time.Since(start)

	perMethod := float64(strings.Count(answer.GetFile()[0].GetContent(), "\n")) / 1000
	t.Logf("1,000 methods took %v; %.1f generated lines a method", took.Round(time.Millisecond), perMethod)
	if perMethod > maxLinesPerMethod {
		t.Errorf("%.1f generated lines a method; at most %d are allowed", perMethod, maxLinesPerMethod)
	}
	out := filepath.Join(dir, "out")
	template := generateTemplate(t, dir, "buf.gen.yaml", out, "")
	buf(t, "generate", dir, "--template", template, "--path", filepath.Join(dir, "protos", "thousand"))
	command(t, ".", "go", "build", "-overlay", overlay(t, out), "./testdata/thousand/thousandfrancis")
}

// runPlugin sends a request to the plugin as a compiler does.
func runPlugin(tb testing.TB, req *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	tb.Helper()
	in, err := proto.Marshal(req)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(plugin)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("%s: %v", plugin, err)
	}
	answer := new(pluginpb.CodeGeneratorResponse)
	if err := proto.Unmarshal(out, answer); err != nil {
		tb.Fatal(err)
	}
	if answer.GetError() != "" {
		tb.Fatal(answer.GetError())
	}
	return answer
}

// TestLinesPerMethod prints and bounds what the files of the corpus cost: their
// head, each actor, each method.
func TestLinesPerMethod(t *testing.T) {
	t.Parallel()
	for name, code := range tree(t, corpus, ".francis.go") {
		lines, actors := strings.Count(code, "\n"), strings.Count(code, ") Self() ")
		methods := strings.Count(code, "sdk.CallTurn[") + strings.Count(code, "sdk.CallView[")
		t.Logf("%-60s %4d lines for %d actors with %d methods", name, lines, actors, methods)
		if lines > 20+50*actors+maxLinesPerMethod*methods {
			t.Errorf("%s has %d lines, too many for %d actors with %d methods", name, lines, actors, methods)
		}
	}
}

func BenchmarkThousandMethods(b *testing.B) {
	req := requestFor(compile(b, thousandWorkspace(b)), "thousand/", "paths=source_relative")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := respond(req, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
