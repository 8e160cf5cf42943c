package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"runtime": main})
}

// TestScripts runs the command itself, as people do: see testdata/script.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setup,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": code, "eventually": eventually, "appears": appears},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// setup gives each script a free port, a home folder of its own, an example of a
// backup, and the commands that docs/backup.md shows.
func setup(env *testscript.Env) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	env.Setenv("ADDRESS", listener.Addr().String())
	env.Setenv("HOME", env.WorkDir)
	example, err := filepath.Abs("backup/testdata/format1.backup")
	if err != nil {
		return err
	}
	env.Setenv("BACKUP", example)
	return documented(filepath.Join(env.WorkDir, "documented.sh"))
}

// documented writes the commands of docs/backup.md into a file.
func documented(path string) error {
	text, err := os.ReadFile("../docs/backup.md")
	if err != nil {
		return err
	}
	_, rest, marked := strings.Cut(string(text), "<!-- run -->\n```sh\n")
	commands, _, ends := strings.Cut(rest, "```\n")
	if !marked || !ends {
		return errors.New("docs/backup.md has no commands to run")
	}
	return os.WriteFile(path, []byte(commands), 0o600)
}

// code runs the command and compares the code with which it ends:
//
//	code 2 -confg x
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: code CODE [ARGUMENTS]")
	}
	err := ts.Exec("runtime", args[1:]...)
	got := 0
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("runtime %s: ended with %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// patience is how long a script waits for what must come.
const patience = time.Minute

// eventually runs the command until it succeeds.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	for late := time.Now().Add(patience); ; {
		err := ts.Exec("runtime", args...)
		if (err == nil) != neg {
			return
		}
		if time.Now().After(late) {
			ts.Fatalf("runtime %s: %v after %v", strings.Join(args, " "), err, patience)
		}
	}
}

// appears waits until a file is there.
func appears(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: appears FILE")
	}
	for late := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // real time: another process does not tell when
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(late) {
			ts.Fatalf("%s is not there after %v", args[0], patience)
		}
	}
}

// TestRunEndsWithACode covers what a script cannot: the command in this process.
func TestRunEndsWithACode(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	if got := run(t.Context(), []string{"runtime", "version"}, &out, &errs); got != exitOK || !strings.HasPrefix(out.String(), "runtime ") {
		t.Errorf("ended with %d and printed %q, %q", got, &out, &errs)
	}
	if got := run(t.Context(), []string{"runtime", "-nothing"}, &out, &errs); got != exitInvalid {
		t.Errorf("ended with %d", got)
	}
	if got := run(t.Context(), []string{"runtime", "healthcheck", "-config", os.DevNull}, &out, &errs); got != exitInvalid {
		t.Errorf("ended with %d", got)
	}
}
