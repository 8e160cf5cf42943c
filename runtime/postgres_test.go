package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/runtime/backup"
)

const moved = `
runtimePSKs: ["example-runtime-psk-change-me"]
bootstrap: {hostPSK: "example-host-bootstrap-psk-change-me"}
lease: 2s
provider: {type: %s, connectionString: %q}
`

// A cluster moves from SQLite to PostgreSQL and back, and nothing is lost on the way.
func TestBackupMovesBetweenProviders(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, provider, connection string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, fmt.Appendf(nil, moved, provider, connection), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	postgres := write("postgres.yaml", "postgres", pgtest.Start(t).Database(t))
	sqlite := write("sqlite.yaml", "sqlite", filepath.Join(folder, "data.db"))
	const example = "backup/testdata/format1.backup"
	whole, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(folder, "cut.backup")
	if err := os.WriteFile(cut, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}

	there, back := filepath.Join(folder, "there.backup"), filepath.Join(folder, "back.backup")
	for _, step := range []struct {
		args []string
		code int
		said string
	}{
		{[]string{"restore", "-config", postgres, "-f", cut}, exitFailed, "cut short"},
		{[]string{"restore", "-config", postgres, "-f", example}, exitOK, "generation 3"},
		{[]string{"restore", "-config", postgres, "-f", example}, exitFailed, "not empty"},
		{[]string{"restore", "-config", postgres, "-f", example, "-replace"}, exitOK, "generation 4"},
		{[]string{"backup", "-config", postgres, "-f", there}, exitFailed, "is whole, and has damaged rows (1)"},
		{[]string{"restore", "-config", sqlite, "-f", there}, exitOK, "generation 5"},
		{[]string{"backup", "-config", sqlite, "-f", back}, exitFailed, "is whole, and has damaged rows (1)"},
	} {
		var out bytes.Buffer
		if code := run(t.Context(), append([]string{"runtime"}, step.args...), &out, &out); code != step.code || !strings.Contains(out.String(), step.said) {
			t.Fatalf("runtime %v: ended with %d and said\n%s", step.args, code, &out)
		}
	}
	want, got := records(t, example), records(t, back)
	if len(want) < 2 || strings.Join(got[1:], "\n") != strings.Join(want[1:], "\n") {
		t.Errorf("came back:\n%s\nleft:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// records are those of a file, as text.
func records(t *testing.T, path string) (all []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for record, err := range backup.Read(file, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(record))
	}
	return all
}
