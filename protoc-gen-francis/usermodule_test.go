package main

import (
	"path/filepath"
	"strings"
	"testing"

	// What the user's module is built with: go test must not answer from its cache
	// when it changes.
	_ "github.com/francis-actors/francis/sdk/francistest"
)

// TestUserModule does what testdata/usermodule/README.md tells a user to do, in a
// copy of that module: its protos lie in two packages, and nothing of ours is
// known to it but the module.
func TestUserModule(t *testing.T) {
	t.Parallel()
	const source = "testdata/usermodule"
	dir := t.TempDir()
	copyTree(t, source, dir, "")
	main, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	command(t, dir, "go", "mod", "edit", "-replace", "github.com/francis-actors/francis="+main)
	francis := strings.TrimSpace(command(t, dir, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/francis-actors/francis"))
	bin := bufBinary()
	command(t, dir, bin, "export", francis+"/proto", "--path", francis+"/proto/francis/v1", "-o", "third_party/francis")
	command(t, dir, bin, "lint")
	command(t, dir, bin, "generate")
	command(t, dir, "go", "mod", "tidy")
	command(t, dir, "go", "vet", "./...")
	if got := command(t, dir, "go", "run", "."); got != "alice pays 750 cents\n" {
		t.Errorf("the program printed %q", got)
	}
	command(t, dir, "go", "mod", "edit", "-replace", "github.com/francis-actors/francis=../../..")
	keepTidy(t, source, dir)
}

// keepTidy wants go mod tidy to have changed nothing, or writes what it changed.
func keepTidy(t *testing.T, source, tidied string) {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum"} {
		got, want := tree(t, tidied, name)[name], tree(t, source, name)[name]
		switch {
		case got == want:
		case *update:
			write(t, filepath.Join(source, name), got)
		default:
			t.Errorf("go mod tidy changes %s (%s); run: go test ./protoc-gen-francis -run TestUserModule -update", filepath.Join(source, name), difference(got, want))
		}
	}
}
