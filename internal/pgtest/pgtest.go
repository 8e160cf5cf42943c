// Package pgtest starts PostgreSQL servers for tests: each is private to its test, on a
// port of its own, with its data in memory where the system has a place for that. It
// needs the programs of PostgreSQL, such as Debian's package postgresql, and no
// rights: root runs them as the user postgres, since the server refuses root.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/francis-actors/francis/internal/port"
)

// The ways to stop a server, by the signals that it knows.
const (
	// Fast ends what is running, writes everything down and stops.
	Fast = syscall.SIGINT
	// Immediate stops as a crash does: the next start recovers.
	Immediate = syscall.SIGQUIT
)

// Server is a PostgreSQL server that runs. Its methods are for one goroutine at a time,
// but for Database, URL and Address.
type Server struct {
	programs string
	dir      string
	address  string
	settings []string

	databases atomic.Int64
	running   *process
}

// Start starts a server that stops with the test. Settings are of the form name=value, as
// in postgresql.conf. Without PostgreSQL the test is skipped.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, []string{"/dev/shm", ""}, settings)
}

// StartOnDisk is Start with the data on the disk of the temporary folder, for measurements.
func StartOnDisk(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, []string{""}, settings)
}

// start starts a server whose data lies in the first of the places that there is.
func start(t testing.TB, places, settings []string) *Server {
	t.Helper()
	s := &Server{programs: programs(t), dir: folder(t, places), address: port.Reserve(t), settings: settings}
	s.run(t, "initdb", "--pgdata", s.data(), "--username", "postgres", "--no-sync", "--auth", "trust", "--locale", "C", "--encoding", "UTF8")
	s.Launch(t)
	t.Cleanup(func() { s.Stop(t, Immediate) })
	return s
}

// programs is the folder of the newest PostgreSQL.
func programs(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
	slices.SortFunc(found, func(a, b string) int { return release(a) - release(b) })
	if n := len(found); n > 0 {
		return filepath.Dir(found[n-1])
	}
	inPath, err := exec.LookPath("initdb")
	if err != nil {
		t.Skip("SKIPPED: no PostgreSQL is installed; install it with: apt-get install postgresql")
	}
	if inPath, err = filepath.EvalSymlinks(inPath); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(inPath)
}

// release is the number in a path like /usr/lib/postgresql/15/bin/initdb.
func release(path string) int {
	number, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return number
}

// folder is one for a server, in the first of the places that there is: its path is short,
// as that of a socket has to be.
func folder(t testing.TB, places []string) string {
	t.Helper()
	for _, parent := range places {
		dir, err := os.MkdirTemp(parent, "pgtest") //nolint:usetesting // t.TempDir is too long for a socket
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		if err := give(dir); err != nil {
			t.Fatalf("give the folder of the server to who runs it: %v", err)
		}
		return dir
	}
	t.Fatal("there is no place for the data of a server")
	return ""
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// run runs a program of PostgreSQL to its end.
func (s *Server) run(t testing.TB, program string, args ...string) {
	t.Helper()
	cmd := s.command(program, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.programs, program), args...) //nolint:gosec // a program of PostgreSQL
	cmd.Dir = s.dir
	cmd.SysProcAttr = asServer()
	return cmd
}

// Launch starts a server that was stopped, at the port that it had. More settings may be
// given, for this time.
func (s *Server) Launch(t testing.TB, settings ...string) {
	t.Helper()
	running, err := launch(s.command("postgres", s.arguments(settings)...))
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	s.running = running
}

func (s *Server) arguments(more []string) []string {
	args := []string{"-D", s.data(), "-k", s.dir, "-h", "127.0.0.1", "-p", s.port()}
	for _, setting := range slices.Concat([]string{"max_connections=200", "shared_buffers=64MB"}, s.settings, more) {
		args = append(args, "-c", setting)
	}
	return args
}

func (s *Server) port() string {
	_, number, _ := net.SplitHostPort(s.address) // it was reserved, so it is one
	return number
}

// Stop stops the server in one of the ways above, and waits until it has ended.
func (s *Server) Stop(t testing.TB, how os.Signal) {
	t.Helper()
	if s.running == nil {
		return
	}
	if err := s.running.stop(how); err != nil {
		t.Errorf("stop PostgreSQL: %v", err)
	}
	s.running = nil
}

// Signal sends a signal to the server's first process.
func (s *Server) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := s.running.cmd.Process.Signal(signal); err != nil {
		t.Errorf("signal PostgreSQL: %v", err)
	}
}

// Restart stops the server and starts it again.
func (s *Server) Restart(t testing.TB, how os.Signal) {
	t.Helper()
	s.Stop(t, how)
	s.Launch(t)
}

// Standby restarts the server as a standby, which takes no writes.
func (s *Server) Standby(t testing.TB) {
	t.Helper()
	s.Stop(t, Fast)
	signal := filepath.Join(s.data(), "standby.signal")
	err := os.WriteFile(signal, nil, 0o600)
	if err == nil {
		err = give(signal)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Launch(t)
}

// Backup takes a base backup of the server, which runs, as of a moment within the call, for
// Restore.
func (s *Server) Backup(t testing.TB) {
	t.Helper()
	s.backUp(t, s.snapshot())
}

// Restore puts the data of a server that is stopped back to the last backup.
func (s *Server) Restore(t testing.TB) {
	t.Helper()
	err := os.RemoveAll(s.data())
	if err == nil {
		err = os.Rename(s.snapshot(), s.data())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Copy starts a server with what this one holds now, which stops with the test.
func (s *Server) Copy(t testing.TB) *Server {
	t.Helper()
	c := &Server{programs: s.programs, dir: folder(t, []string{filepath.Dir(s.dir)}), address: port.Reserve(t), settings: s.settings}
	s.backUp(t, c.data())
	c.Launch(t)
	t.Cleanup(func() { c.Stop(t, Immediate) })
	return c
}

// Sessions are the processes of the server that serve clients, and those that write for
// all; not the first one.
func (s *Server) Sessions(t testing.TB) (pids []int) {
	t.Helper()
	cmd := s.command("psql", "-h", s.dir, "-p", s.port(), "-U", "postgres", "-Atc", "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the sessions of PostgreSQL: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func (s *Server) snapshot() string { return filepath.Join(s.dir, "snapshot") }

func (s *Server) backUp(t testing.TB, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	s.run(t, "pg_basebackup", "-h", s.dir, "-p", s.port(), "-U", "postgres", "--pgdata", to, "--checkpoint", "fast", "--no-sync")
}

// Dump is what pg_dump says of a database.
func (s *Server) Dump(t testing.TB, database string) string {
	t.Helper()
	out, err := s.command("pg_dump", "--clean", database).Output()
	if err != nil {
		t.Fatalf("pg_dump: %v", err)
	}
	return string(out)
}

// Load restores a dump into a database.
func (s *Server) Load(t testing.TB, database, dump string) {
	t.Helper()
	cmd := s.command("psql", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1", database)
	cmd.Stdin = strings.NewReader(dump)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
}

// Database makes an empty database and returns the connection string of it.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.run(t, "createdb", "-h", s.dir, "-p", s.port(), "-U", "postgres", name)
	return s.URL(name)
}

// URL is the connection string of a database.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: s.Address(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Address is where the server listens.
func (s *Server) Address() string { return s.address }

// process is a server's first process.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	mu    sync.Mutex
	log   strings.Builder // under mu
}

// launch starts a server and waits until it says that it is ready.
func launch(cmd *exec.Cmd) (*process, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = in
	p := &process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go p.hold(started)
	err = <-started
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	ready := make(chan struct{})
	go p.listen(out, ready)
	select {
	case <-ready:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("it has ended:\n%s", p.said())
	}
}

// hold starts the process and waits for its end, on a thread of its own: where the system
// can end it together with who started it, that is the thread.
func (p *process) hold(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // how it ended does not matter
		close(p.ended)
	}
}

// listen follows what the server says, and closes ready once it answers.
func (p *process) listen(out io.ReadCloser, ready chan<- struct{}) {
	defer out.Close()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.mu.Lock()
		fmt.Fprintln(&p.log, lines.Text())
		p.mu.Unlock()
		if ready != nil && strings.Contains(lines.Text(), "database system is ready to accept") {
			close(ready)
			ready = nil
		}
	}
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *process) stop(how os.Signal) error {
	if err := p.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}
