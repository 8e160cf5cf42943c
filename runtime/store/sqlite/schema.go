package sqlite

import (
	"crypto/rand"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/schema"
)

// application marks a file as ours, in the field that SQLite has for it: "Fran".
const application = 0x4672616e

// oldest is the first release of SQLite without a bug that loses commits of a log
// that begins anew.
const oldest = "3.51.3"

//go:embed migrations/*.sql
var embedded embed.FS

// migrations are numbered from 1; the file's user_version is the number of the last
// that it has.
var migrations = schema.Migrations(embedded)

// patience is how long a connection waits for others: somebody may look into the file
// with other tools.
const patience = 5 * time.Second

// busyTimeout sets how long a connection waits for others.
func busyTimeout(d time.Duration) string { return fmt.Sprintf("busy_timeout = %d", d.Milliseconds()) }

var (
	commonPragmas = []string{
		busyTimeout(patience),
		"wal_autocheckpoint = 0", // the writer does it
		"trusted_schema = OFF",   // a file may have been tampered with
		"cell_size_check = ON",   // finds damaged pages early
	}
	readerPragmas = append([]string{"query_only = ON", "cache_size = -8192"}, commonPragmas...)
	writerPragmas = append([]string{
		"page_size = " + strconv.Itoa(pageSize),
		"journal_mode = WAL", "synchronous = FULL", "cache_size = -32768",
		"journal_size_limit = " + strconv.Itoa(logKept),
	}, commonPragmas...)
)

func configure(c *conn, pragmas []string) error {
	for _, pragma := range pragmas {
		if err := c.exec("PRAGMA " + pragma); err != nil {
			return fmt.Errorf("set %s: %w", pragma, err)
		}
	}
	return nil
}

// prepareFile brings a file to the newest schema, with the writer's settings.
func prepareFile(c *conn, config Config) error {
	if err := checkRelease(c); err != nil {
		return err
	}
	if err := configure(c, writerPragmas); err != nil {
		return err
	}
	if err := checkDurable(c); err != nil {
		return err
	}
	if err := migrate(c, migrations); err != nil {
		return err
	}
	return configure(c, config.pragmas)
}

// checkDurable refuses a file in which acknowledged commits could be lost.
func checkDurable(c *conn) error {
	mode, err := c.text("PRAGMA journal_mode")
	if err != nil {
		return err
	}
	level, err := c.number("PRAGMA synchronous")
	if err != nil {
		return err
	}
	if mode != "wal" || level < 2 {
		return fmt.Errorf("journal_mode is %s and synchronous is %d, where wal and 2 (FULL) are needed; move the file to a local disk", mode, level)
	}
	return nil
}

func checkRelease(c *conn) error {
	release, err := c.text("SELECT sqlite_version()")
	if err != nil {
		return err
	}
	if !atLeast(release, oldest) {
		return fmt.Errorf("this binary holds SQLite %s, and at least %s is needed; build it with a newer modernc.org/sqlite", release, oldest)
	}
	return nil
}

// atLeast compares releases like "3.51.3".
func atLeast(have, want string) bool {
	haves, wants := strings.Split(have, "."), strings.Split(want, ".")
	for i := range min(len(haves), len(wants)) {
		h, _ := strconv.Atoi(haves[i])
		w, _ := strconv.Atoi(wants[i])
		if h != w {
			return h > w
		}
	}
	return len(haves) >= len(wants)
}

// stamp is what a file says of itself.
type stamp struct {
	application, version, objects int64
}

// readStamp returns the stamp of a file that is ours or empty.
func readStamp(c *conn) (stamp, error) {
	var s stamp
	var err error
	if s.application, err = c.number("PRAGMA application_id"); err != nil {
		return s, err
	}
	if s.version, err = c.number("PRAGMA user_version"); err != nil {
		return s, err
	}
	if s.objects, err = c.number("SELECT count(*) FROM sqlite_schema"); err != nil {
		return s, err
	}
	return s, s.check(int64(len(migrations)))
}

// check refuses a file that is not ours, or newer than we are.
func (s stamp) check(newest int64) error {
	switch {
	case s == stamp{}:
		return nil
	case s.application != application:
		return fmt.Errorf("%w: the file is the SQLite database of another application (application_id %d, %d tables and indexes); name another one",
			store.ErrForeign, s.application, s.objects)
	case s.version > newest:
		return fmt.Errorf("%w (its schema is number %d, and this release knows %d)", store.ErrNewer, s.version, newest)
	case s.version < 1:
		return fmt.Errorf("%w: its schema has no number", store.ErrDamaged)
	default:
		return nil
	}
}

// migrate runs the migrations that a file lacks, each in a transaction.
func migrate(c *conn, migrations []string) error {
	have, err := readStamp(c)
	if err != nil {
		return err
	}
	for number := have.version + 1; number <= int64(len(migrations)); number++ {
		if err := migrateOne(c, number, migrations[number-1]); err != nil {
			return fmt.Errorf("migration %d: %w", number, err)
		}
	}
	return nil
}

func migrateOne(c *conn, number int64, statements string) error {
	steps := []func() error{
		func() error { return c.exec("BEGIN IMMEDIATE") },
		func() error { return c.exec(statements) },
		func() error { return c.exec(fmt.Sprintf("PRAGMA application_id = %d", application)) },
		func() error { return c.exec(fmt.Sprintf("PRAGMA user_version = %d", number)) },
		func() error { return found(c, number) },
		func() error { return c.exec("COMMIT") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			_ = c.exec("ROLLBACK")
			return err
		}
	}
	return nil
}

// found gives a new store its identity.
func found(c *conn, number int64) error {
	if number != 1 {
		return nil
	}
	return writeRows(c, writeCluster, []store.Cluster{{ID: rand.Text(), Generation: 1}}, clusterRow)
}
