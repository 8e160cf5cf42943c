package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/francis-actors/francis/runtime/store"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(t *testing.T, path string)
		is      error
		says    string
	}{
		{"a text file", write0("hello, I am not a database"), store.ErrForeign, "no SQLite database"},
		{"a short file", write0("x"), store.ErrForeign, "no SQLite database"},
		{"a head without a body", write0(magic), store.ErrDamaged, ""},
		{"another application's database", foreign("CREATE TABLE theirs (x)"), store.ErrForeign, "another application"},
		{"another application's id", foreign("PRAGMA application_id = 7"), store.ErrForeign, "another application"},
		{"another application's database with a log", foreign("PRAGMA journal_mode = WAL; CREATE TABLE theirs (x)"), store.ErrForeign, "another application"},
		{"a newer schema", ours("PRAGMA user_version = 99"), store.ErrNewer, "newer release"},
		{"a changed epoch", ours("UPDATE shards SET epoch = 7"), store.ErrDamaged, "checksum"},
		{"a changed owner", ours("UPDATE shards SET worker = 'w2'"), store.ErrDamaged, "checksum"},
		{"a missing shard", ours("DELETE FROM shards"), store.ErrDamaged, "missing"},
		{"a missing owner", ours("DELETE FROM workers"), store.ErrDamaged, "does not live"},
		{"a missing type", ours("DELETE FROM types"), store.ErrDamaged, "no shard"},
		{"a worker that is no message", ours("UPDATE workers SET worker = x'ff'"), store.ErrDamaged, ""},
		{"a changed counter", ours("UPDATE cluster SET counter = 1"), store.ErrDamaged, "checksum"},
		{"a changed branch", ours("UPDATE branches SET began = 1"), store.ErrDamaged, "checksum"},
		{"no identity", ours("DELETE FROM cluster"), store.ErrDamaged, "identity"},
		{"a folder", func(t *testing.T, path string) { ok(t, os.Mkdir(path, 0o700)) }, nil, "directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data.db")
			test.prepare(t, path)
			before, _ := os.ReadFile(path)
			_, err := Open(Config{Path: path})
			if err == nil || (test.is != nil && !errors.Is(err, test.is)) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %q; want %v and %q", err, test.is, test.says)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenRefusesPath(t *testing.T) {
	t.Parallel()
	for path, says := range map[string]string{
		"":                                    "provider \"memory\"",
		":memory:":                            "provider \"memory\"",
		filepath.Join(t.TempDir(), "no/x.db"): "create the folder first",
	} {
		if _, err := Open(Config{Path: path}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Open(%q): %v; want %q", path, err, says)
		}
	}
}

func TestOpenOddPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b.db", "what?.db", "50%.db", "x#y&mode=memory.db", "é.db", "file:x.db"} {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, "?:") {
			continue
		}
		path := filepath.Join(t.TempDir(), name)
		mustClose(t, mustOpen(t, Config{Path: path}))
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		mustClose(t, mustOpen(t, Config{Path: path}))
	}
}

func TestOpenAdoptsEmptyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	write0("")(t, path)
	mustClose(t, mustOpen(t, Config{Path: path}))
}

func TestSecondRuntimeIsRefused(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	_, err := Open(config)
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("a second runtime: %v", err)
	}
	commitAny(t, s)
	mustClose(t, s)
	mustClose(t, mustOpen(t, config))
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there are no such modes")
	}
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	defer mustClose(t, s)
	commitAny(t, s)
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != fs.FileMode(0o600) {
			t.Errorf("%s has mode %v", path+suffix, info.Mode())
		}
	}
}

// Another migration, as a later release would bring it.
func TestMigratesForward(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	commitAny(t, s)
	mustClose(t, s)
	c, err := dial(config.Path, "rw")
	ok(t, err)
	defer c.Close()
	later := append([]string{}, migrations...)
	later = append(later, "CREATE TABLE later (x)", "INSERT INTO later VALUES (1); no such statement")
	if err := migrate(c, later); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("migration %d", len(later))) {
		t.Errorf("a migration that fails: %v", err)
	}
	version, err := c.number("PRAGMA user_version")
	ok(t, err)
	rows, err := c.number("SELECT count(*) FROM later")
	ok(t, err)
	if want := int64(len(later) - 1); version != want || rows != 0 {
		t.Errorf("schema %d with %d rows after a migration that failed; want %d and 0", version, rows, want)
	}
	actors, err := c.number("SELECT count(*) FROM actors")
	ok(t, err)
	if actors != 1 {
		t.Errorf("%d actors after a migration", actors)
	}
}

func TestAtLeast(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		have, want string
		ok         bool
	}{
		{"3.51.3", "3.51.3", true},
		{"3.51.2", "3.51.3", false},
		{"3.54.1", "3.51.3", true},
		{"3.9.9", "3.51.3", false},
		{"4.0", "3.51.3", true},
		{"3.51", "3.51.3", false},
		{"3.100.0", "3.51.3", true},
	} {
		if got := atLeast(test.have, test.want); got != test.ok {
			t.Errorf("atLeast(%s, %s) = %v", test.have, test.want, got)
		}
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func commitAny(t testing.TB, s *Store) {
	t.Helper()
	own(t, s, "w1")
	commit(t, s, "w1", "a", nil, identity(1, 1), "state")
}

func write0(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) { ok(t, os.WriteFile(path, []byte(text), 0o600)) }
}

// foreign makes a database of somebody else.
func foreign(statements string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		write0("")(t, path)
		change(t, path, statements)
	}
}

// ours makes a store and changes it by hand.
func ours(statements string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		s := mustOpen(t, Config{Path: path})
		commitAny(t, s)
		mustClose(t, s)
		change(t, path, statements)
	}
}

func change(t *testing.T, path, statements string) {
	t.Helper()
	c, err := dial(path, "rw")
	ok(t, err)
	ok(t, c.exec(statements))
	ok(t, c.Close())
}
