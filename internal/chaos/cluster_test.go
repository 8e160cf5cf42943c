//go:build unix

package chaos

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // to look into the database of the runtimes
	_ "modernc.org/sqlite"             // to look into the runtime's file

	"github.com/francis-actors/francis/internal/pgtest"
	"github.com/francis-actors/francis/internal/port"
)

const (
	// lease is that of all clusters here.
	lease = 2 * time.Second
	// patience bounds every wait.
	patience = 60 * time.Second
	hostPSK  = "a host secret of the chaos tests"
)

// builds are the folders of the binaries that were compiled, by what and how.
var builds struct {
	mu      sync.Mutex
	folders map[string]string
}

// compile returns a folder with binaries, compiled with the tags: each has the name of its
// package.
func compile(t *testing.T, tags string, packages ...string) string {
	t.Helper()
	builds.mu.Lock()
	defer builds.mu.Unlock()
	key := strings.Join(append(packages, tags), " ")
	if folder := builds.folders[key]; folder != "" {
		return folder
	}
	folder, err := os.MkdirTemp("", "chaos") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"build", "-tags", tags, "-o", folder + string(filepath.Separator)}, packages...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", key, err, out)
	}
	if builds.folders == nil {
		builds.folders = map[string]string{}
	}
	builds.folders[key] = folder
	return folder
}

// binaries are the packages of the processes of a cluster.
var binaries = []string{"../../runtime", "./worker"}

const (
	runtimeBinary = "runtime"
	workerBinary  = "worker"
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, folder := range builds.folders {
		_ = os.RemoveAll(folder)
	}
	if err := figures.save(*document); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// cluster is runtimes and workers, each a process. Between them are links that can be cut.
type cluster struct {
	topology

	t      *testing.T
	folder string
	// ctx ends with the test, and as soon as something has gone wrong that leaves nothing to
	// wait for.
	ctx   context.Context
	abort context.CancelFunc
	// server is that of PostgreSQL.
	server   *pgtest.Server
	runtimes []*replica
	workers  []*worker
	// workerBin and runtimeBin are the folders of the binaries that start next.
	workerBin, runtimeBin string

	// processes are all that were ever started.
	processes []*process
}

// topology is what a cluster is made of, beside its workers.
type topology struct {
	// runtimes is how many there are; 0 means one.
	runtimes int
	// postgres is true where the state lies in PostgreSQL, and else in SQLite.
	postgres bool
	// local is true where each worker is its own runtime, and there is no other one.
	local bool
}

// twoRuntimes is two runtimes on one PostgreSQL.
var twoRuntimes = topology{runtimes: 2, postgres: true}

// member is one of the cluster, a process at a time.
type member struct {
	cluster *cluster
	// mortal is true for one whose processes may end by themselves.
	mortal atomic.Bool

	mu      sync.Mutex
	process *process
}

// replica is one of the runtimes.
type replica struct {
	member

	address string
	// config is its configuration, and file the name of that.
	config, file string
	front        *link // before it, for all workers
	store        *link // before PostgreSQL, for this one alone
}

type worker struct {
	member

	gateway string
	bind    string
	peers   *link   // before the worker, for the other ones
	fronts  []*link // before the runtimes, for this worker alone
	wrap    []string
}

// setup is how a cluster is made.
type setup struct {
	topology

	workers int
	// tags are what the binaries are compiled with.
	tags string
	// folder is where the runtime keeps its data; a temporary one by default.
	folder string
	// settings are those of PostgreSQL.
	settings []string
	// wrapRuntime and wrapWorkers stand before the command lines of the processes, the
	// latter one for each worker.
	wrapRuntime []string
	wrapWorkers [][]string
}

// start starts a cluster of n workers and one runtime on SQLite.
func start(t *testing.T, n int) *cluster {
	t.Helper()
	return launch(t, setup{workers: n})
}

// startTwo starts a cluster of n workers and two runtimes on PostgreSQL; not in the short
// form.
func startTwo(t *testing.T, n int) *cluster {
	t.Helper()
	notShort(t)
	return launch(t, setup{topology: twoRuntimes, workers: n})
}

// startWithin starts a cluster whose processes have so many file descriptors.
func startWithin(t *testing.T, n, files int) *cluster {
	t.Helper()
	limit := []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files)}
	return launch(t, setup{workers: n, wrapRuntime: limit, wrapWorkers: slices.Repeat([][]string{limit}, n)})
}

// launch starts a cluster.
func launch(t *testing.T, s setup) *cluster {
	t.Helper()
	if s.folder == "" {
		s.folder = t.TempDir()
	}
	bin := compile(t, s.tags, binaries...)
	c := &cluster{topology: s.topology, t: t, workerBin: bin, runtimeBin: bin, folder: s.folder}
	c.ctx, c.abort = context.WithCancel(t.Context())
	if s.postgres {
		c.server = pgtest.Start(t, s.settings...)
		c.server.Database(t) // the only one
	}
	for i := range max(1, s.runtimes) {
		c.addRuntime(fmt.Sprintf("config%d.yaml", i))
	}
	if !s.local {
		c.startRuntimes(s.wrapRuntime)
	}
	for i := range s.workers {
		w := c.addWorker()
		if i < len(s.wrapWorkers) {
			w.wrap = s.wrapWorkers[i]
		}
		w.start()
	}
	for _, w := range c.workers {
		w.awaitReady()
	}
	return c
}

// startRuntimes starts all runtimes, and writes down who they say they are.
func (c *cluster) startRuntimes(wrap []string) {
	c.t.Helper()
	c.write("ca.pem", c.printCA())
	for _, r := range c.runtimes {
		r.start(wrap...)
	}
}

// addRuntime adds a runtime that does not run yet, with its configuration.
func (c *cluster) addRuntime(file string) {
	c.t.Helper()
	r := &replica{member: member{cluster: c}, address: port.Reserve(c.t), file: file}
	r.front = newLink(c.t, r.address)
	provider := `{type: sqlite, connectionString: "data.db"}`
	if c.postgres {
		r.store = newLink(c.t, c.server.Address())
		provider = fmt.Sprintf(`{type: postgres, connectionString: %q}`, c.database(r.store.address))
	}
	r.config = fmt.Sprintf(`bind: %q
runtimePSKs: ["a runtime secret of the chaos tests"]
bootstrap: {method: psk, hostPSK: %q}
provider: %s
lease: %v
`, r.address, hostPSK, provider, lease)
	c.write(r.file, r.config)
	c.runtimes = append(c.runtimes, r)
}

// printCA is what the command of that name says.
func (c *cluster) printCA() string {
	c.t.Helper()
	cmd := exec.CommandContext(c.ctx, filepath.Join(c.runtimeBin, runtimeBinary), "print-ca", "-config", c.runtimes[0].file)
	cmd.Dir = c.folder
	pem, err := cmd.Output()
	if err != nil {
		c.t.Fatal(err)
	}
	return string(pem)
}

// database is the connection string of our database, by way of an address.
func (c *cluster) database(address string) string {
	return strings.Replace(c.server.URL("test1"), c.server.Address(), address, 1) + "&search_path=francis"
}

// addWorker adds a worker that does not run yet.
func (c *cluster) addWorker() *worker {
	c.t.Helper()
	w := &worker{member: member{cluster: c}, gateway: port.Reserve(c.t), bind: port.Reserve(c.t)}
	w.peers = newLink(c.t, w.bind)
	for _, r := range c.runtimes {
		w.fronts = append(w.fronts, newLink(c.t, r.front.address))
	}
	c.workers = append(c.workers, w)
	return w
}

// memoryLimit stands before the command line of a process that may have so many bytes.
func memoryLimit(t *testing.T, bytes int) []string {
	t.Helper()
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("needs prlimit, which bounds the memory of a process")
	}
	return []string{prlimit, fmt.Sprintf("--data=%d", bytes), "--"}
}

// open opens the database of the runtimes, to look into it.
func (c *cluster) open() *sql.DB {
	c.t.Helper()
	driver, source := "sqlite", filepath.Join(c.folder, "data.db")
	if c.postgres {
		driver, source = "pgx", c.database(c.server.Address())
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		c.t.Fatal(err)
	}
	return db
}

// checkIntegrity stops the runtimes. SQLite looks through its file then; PostgreSQL has no
// such look, so each row is read with its checksum, into a backup.
func (c *cluster) checkIntegrity() {
	c.t.Helper()
	if c.postgres {
		c.command(c.t, nil, "backup", "-f", "integrity.backup")
	}
	for _, r := range c.runtimes {
		if !c.local {
			r.current().stop(c.t)
		}
	}
	if c.postgres {
		return
	}
	db := c.open()
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(c.ctx, "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		c.t.Errorf("the integrity of the database: %q, %v", verdict, err)
	}
}

func (c *cluster) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.folder, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// start starts the runtime, behind what stands before its command line, and waits until it
// listens.
func (r *replica) start(wrap ...string) {
	r.cluster.t.Helper()
	r.boot(wrap...)
	r.await()
}

// boot starts the runtime.
func (r *replica) boot(wrap ...string) {
	r.cluster.t.Helper()
	r.spawn(append(slices.Clone(wrap), filepath.Join(r.cluster.runtimeBin, runtimeBinary), "-config", r.file))
}

// await waits until the runtime listens, or has ended as it may.
func (r *replica) await() {
	r.cluster.t.Helper()
	r.cluster.await("the runtime listens", func() bool {
		conn, err := tls.Dial("tcp", r.address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only asks whether somebody listens
		if err == nil {
			conn.Close()
		}
		return err == nil || r.current().over()
	})
}

// awaitEnd waits until the runtime has ended by itself.
func (r *replica) awaitEnd() {
	r.cluster.t.Helper()
	select {
	case <-r.current().ended:
	case <-r.cluster.ctx.Done():
	case <-time.After(patience):
		r.cluster.t.Fatal("the runtime did not end")
	}
}

func (m *member) current() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

func (w *worker) start() {
	w.cluster.t.Helper()
	command := append(slices.Clone(w.wrap), filepath.Join(w.cluster.workerBin, workerBinary),
		"-gateway", w.gateway, "-address", w.peers.address, "-bind", w.bind, "-psk", hostPSK)
	if c := w.cluster; c.local {
		w.spawn(append(command, "-database", c.database(c.server.Address()), "-lease", lease.String()))
	} else {
		w.spawn(append(command, "-runtimes", strings.Join(addresses(w.fronts), ","), "-ca", "ca.pem"))
	}
}

func addresses(links []*link) (all []string) {
	for _, l := range links {
		all = append(all, l.address)
	}
	return all
}

// cut changes what the links to the runtimes do, for this worker alone.
func (w *worker) cut(c cut) {
	for _, l := range w.fronts {
		l.set(c)
	}
}

// sent is how many bytes the worker has sent to the runtimes.
func (w *worker) sent() (n int64) {
	for _, l := range w.fronts {
		n += l.sent.Load()
	}
	return n
}

// restart starts the worker anew, and waits until it is ready.
func (w *worker) restart() {
	w.cluster.t.Helper()
	w.start()
	w.awaitReady()
}

func (w *worker) awaitReady() {
	w.cluster.await("worker "+w.gateway+" is ready", func() bool {
		res, err := http.Post("http://"+w.gateway+"/grpc.health.v1.Health/Check", "application/json", strings.NewReader("{}"))
		if err != nil {
			return false
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return strings.Contains(string(body), `"SERVING"`)
	})
}

// await asks until the answer is yes. Where it does not come in time, or cannot come any
// more, nothing else is waited for in this test.
func (c *cluster) await(what string, is func() bool) {
	c.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ends := time.Now().Add(patience); c.ctx.Err() == nil && !is(); <-tick.C {
		if time.Now().After(ends) {
			c.t.Errorf("waited %v in vain: %s", patience, what)
			c.abort()
		}
	}
}

// process is one running binary.
type process struct {
	cmd    *exec.Cmd
	output *output
	// doomed is true once it is told to end, and ended is closed when it has.
	doomed atomic.Bool
	ended  chan struct{}
}

// spawn starts a process, in a group of its own together with what it starts. Unless it is
// told to, or may, its end is the end of the test.
func (m *member) spawn(command []string) {
	c := m.cluster
	c.t.Helper()
	p := &process{output: &output{}, ended: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.folder, p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.processes = append(c.processes, p)
	go func() {
		_ = p.cmd.Wait() // how it ended is in its state
		if !p.doomed.Load() && !m.mortal.Load() {
			c.t.Errorf("%s has ended by itself, with %v:\n%s", p.cmd, p.cmd.ProcessState, p.output.tail())
			c.abort()
		}
		close(p.ended)
	}()
	c.t.Cleanup(func() {
		p.kill()
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", p.cmd, p.output.tail())
		}
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process = p
}

// signal sends a signal to the process and all that it has started.
func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) } // it may have ended

// kill is kill -9.
func (p *process) kill() {
	p.doomed.Store(true)
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// over reports whether the process has ended.
func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stop asks the process to end, which it does without a fault.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.doomed.Store(true)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Errorf("%s does not stop", p.cmd)
	}
	if !p.cmd.ProcessState.Success() {
		t.Errorf("%s ended with %v", p.cmd, p.cmd.ProcessState)
	}
}

// pause stops the process for a while, with whatever it was doing.
func (p *process) pause(ctx context.Context, d time.Duration) {
	p.signal(syscall.SIGSTOP)
	rest(ctx, d)
	p.signal(syscall.SIGCONT)
}

// rest waits for a while, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// output keeps what a process has written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// tail is the last of it.
func (o *output) tail() string {
	const most = 4_000
	text := o.String()
	return text[max(0, len(text)-most):]
}
