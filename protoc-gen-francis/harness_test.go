package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// root is the main module, seen from this package.
const root = ".."

// buf runs the pinned buf in the root of the main module, and fails the test with
// what it printed if it fails.
func buf(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := bufCommand(args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("buf %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func bufCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(bufBinary(), args...)
	cmd.Dir = root
	return cmd
}

// bufBinary is the path of the pinned buf. It is built once: tests that run at the
// same time would each build it when the cache is cold.
var bufBinary = sync.OnceValue(func() string {
	find := exec.Command("go", "tool", "-n", "-modfile=tools/go.mod", "buf")
	find.Dir, find.Stderr = root, os.Stderr
	path, err := find.Output()
	if err != nil {
		panic("build buf: " + err.Error()) //nolint:forbidigo // no test can run without it
	}
	return strings.TrimSpace(string(path))
})

// command runs a command in a folder, and fails the test with what it printed if it
// fails.
func command(tb testing.TB, dir, name string, args ...string) string {
	tb.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// plugin is the path of the plugin, which is built once for all tests.
var plugin string

func TestMain(m *testing.M) {
	os.Exit(withPlugin(m))
}

func withPlugin(m *testing.M) int {
	dir, err := os.MkdirTemp("", "protoc-gen-francis")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	plugin = filepath.Join(dir, "protoc-gen-francis")
	if out, err := exec.Command("go", "build", "-o", plugin, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// workspace is a folder with a buf workspace of two modules: the given protos,
// and the options of francis.
func workspace(tb testing.TB, protos string) string {
	tb.Helper()
	dir := tb.TempDir()
	copyTree(tb, protos, filepath.Join(dir, "protos"), ".proto")
	copyTree(tb, filepath.Join(root, "proto", "francis"), filepath.Join(dir, "options", "francis"), ".proto")
	write(tb, filepath.Join(dir, "buf.yaml"), "version: v2\nmodules: [{path: protos}, {path: options}]\n")
	return dir
}

// copyTree copies the files of a tree whose names end in suffix.
func copyTree(tb testing.TB, from, to, suffix string) {
	tb.Helper()
	for name, content := range tree(tb, from, suffix) {
		write(tb, filepath.Join(to, name), content)
	}
}

// tree reads the files below a folder whose names end in suffix.
func tree(tb testing.TB, dir, suffix string) map[string]string {
	tb.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, suffix) {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

func write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// overlay makes the go command see the Go files of a folder as if they lay in
// testdata: it returns the file for its flag -overlay.
func overlay(tb testing.TB, dir string) string {
	tb.Helper()
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		tb.Fatal(err)
	}
	files := make(map[string]string)
	for name := range tree(tb, dir, ".go") {
		files[filepath.Join(testdata, name)] = filepath.Join(dir, name)
	}
	content, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "overlay.json")
	write(tb, file, string(content))
	return file
}

// compile lets buf compile a workspace and returns its files, imports included,
// each after the files that it imports.
func compile(tb testing.TB, workspace string) []*descriptorpb.FileDescriptorProto {
	tb.Helper()
	image := filepath.Join(tb.TempDir(), "image.binpb")
	buf(tb, "build", workspace, "-o", image)
	content, err := os.ReadFile(image)
	if err != nil {
		tb.Fatal(err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(content, set); err != nil {
		tb.Fatal(err)
	}
	return set.GetFile()
}

// requestFor is the request by which a compiler asks for the files whose path
// starts with prefix. It holds these and their imports.
func requestFor(files []*descriptorpb.FileDescriptorProto, prefix, parameter string) *pluginpb.CodeGeneratorRequest {
	req := &pluginpb.CodeGeneratorRequest{Parameter: proto.String(parameter)}
	needed := make(map[string]bool)
	for _, file := range slices.Backward(files) {
		name := file.GetName()
		if strings.HasPrefix(name, prefix) {
			needed[name] = true
		}
		if needed[name] {
			for _, imported := range file.GetDependency() {
				needed[imported] = true
			}
		}
	}
	for _, file := range files {
		if !needed[file.GetName()] {
			continue
		}
		req.ProtoFile = append(req.ProtoFile, proto.CloneOf(file)) // protogen writes to its request
		if strings.HasPrefix(file.GetName(), prefix) {
			req.FileToGenerate = append(req.FileToGenerate, file.GetName())
		}
	}
	return req
}
