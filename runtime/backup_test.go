package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/francis-actors/francis/runtime/backup"
)

// A file that is not written to its end leaves the one of before, and nothing else.
func TestReplaceFile(t *testing.T) {
	t.Parallel()
	const before, after = "francis backup 1\n of yesterday", "francis backup 1\n of today"
	path := filepath.Join(t.TempDir(), "one.backup")
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil { //nolint:gosec // its mode is to be another one afterwards
		t.Fatal(err)
	}
	broken := errors.New("interrupted")
	write := func(end error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, after)
			return errors.Join(err, end)
		}
	}
	for _, test := range []struct {
		end  error
		want string
		mode os.FileMode
	}{{broken, before, 0o644}, {nil, after, 0o600}} {
		if err := replaceFile(path, write(test.end)); !errors.Is(err, test.end) {
			t.Errorf("error %v, want %v", err, test.end)
		}
		text, err := os.ReadFile(path)
		if err != nil || string(text) != test.want {
			t.Errorf("after %v the file is %q, error %v", test.end, text, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != test.mode {
			t.Errorf("after %v its mode is %v, error %v", test.end, info.Mode(), err)
		}
		if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
			t.Errorf("after %v the folder has %v, error %v", test.end, files, err)
		}
	}
}

// A link stays, and leads to the new file.
func TestReplaceFileBehindALink(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	link, file := filepath.Join(folder, "latest.backup"), filepath.Join(folder, "disk", "one.backup")
	if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("francis backup 1\n"), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	const text = "francis backup 1\n of today"
	if err := replaceFile(link, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != file {
		t.Errorf("the link leads to %q, error %v", to, err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != text {
		t.Errorf("the file is %q, error %v", got, err)
	}
}

// Who waits for a pipe that says nothing is woken by an interruption.
func TestInterruptible(t *testing.T) {
	t.Parallel()
	silent, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	in := interruptible(ctx, silent)
	go func() {
		_, _ = io.WriteString(w, "something")
		cancel()
	}()
	if text, err := io.ReadAll(in); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("read %q, error %v", text, err)
	}
}

func TestProgressLine(t *testing.T) {
	t.Parallel()
	p := &progress{what: "restoring"}
	for _, test := range []struct {
		tally  backup.Tally
		lasted time.Duration
		want   string
	}{
		{backup.Tally{}, 0, "restoring: 0 rows, 0 B, 0 B/s"},
		{backup.Tally{Actors: 3, Keys: 2, Bytes: 2560}, 2 * time.Second, "restoring: 5 rows, 2.5 KiB, 1.25 KiB/s"},
		{backup.Tally{Actors: 1_000_000, Bytes: 3 << 30}, 10 * time.Second, "restoring: 1000000 rows, 3 GiB, 307.2 MiB/s"},
	} {
		if got := p.line(test.tally, test.lasted); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
