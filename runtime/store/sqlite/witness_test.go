package sqlite

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// copyFile copies a database as it lies there, the log included.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(from + suffix)
		if errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(to + suffix)
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Remove(to + "-shm")
}

// Whoever puts an older copy back gets a new generation: no activation of before goes on.
func TestOlderCopyBeginsAGeneration(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	kept := filepath.Join(t.TempDir(), "copy.db")
	s := mustOpen(t, config)
	own(t, s, "w1")
	commit(t, s, "w1", "a", nil, identity(1, 1), "old")
	mustClose(t, s)
	copyFile(t, config.Path, kept)

	s = mustOpen(t, config)
	if now, _ := s.Cluster(t.Context()); now.Generation != 1 {
		t.Fatalf("a file that nobody put back is of generation %d", now.Generation)
	}
	commit(t, s, "w1", "a", identity(1, 1), identity(1, 2), "lost")
	mustClose(t, s)

	copyFile(t, kept, config.Path)
	var said bytes.Buffer
	config.Logger = slog.New(slog.NewTextHandler(&said, nil))
	s = mustOpen(t, config)
	defer mustClose(t, s)
	now, err := s.Cluster(t.Context())
	if err != nil || now.Generation != 2 {
		t.Errorf("after an older copy was put back the cluster is %+v, %v", now, err)
	}
	if !strings.Contains(said.String(), "level=ERROR") || !strings.Contains(said.String(), "put back to an older copy") {
		t.Errorf("the log says %q", said.String())
	}
	if err := s.Beat(t.Context(), "w1"); !errors.Is(err, store.ErrDead) {
		t.Errorf("a worker of before renews: %v", err)
	}
	if got := commit(t, s, "w1", "b", nil, identity(1, 1), "stale"); got.GetVerdict() != runtimev1.Verdict_VERDICT_STALE_EPOCH {
		t.Errorf("an activation of before commits: %v", got)
	}
}

// A new file where another cluster was is no accident to go on from.
func TestEmptiedFileIsRefused(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	own(t, s, "w1")
	mustClose(t, s)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(config.Path + suffix)
	}
	_, err := Open(config)
	if !errors.Is(err, store.ErrForeign) || !strings.Contains(err.Error(), "remove "+config.Path+".counter") {
		t.Errorf("an emptied store is opened with %v", err)
	}
	if err := os.Remove(config.Path + ".counter"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, mustOpen(t, config))
}

// A witness that was cut short says nothing.
func TestUnreadableWitness(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	mustClose(t, mustOpen(t, config))
	for _, text := range []string{"", "{", "null", "{}", "[1]"} {
		if err := os.WriteFile(config.Path+".counter", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, config)
		if now, _ := s.Cluster(t.Context()); now.Generation != 1 {
			t.Errorf("%q begins generation %d", text, now.Generation)
		}
		mustClose(t, s)
	}
}
