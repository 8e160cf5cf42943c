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
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to look into the runtime's file
)

const (
	// lease is that of all clusters here.
	lease = 2 * time.Second
	// patience bounds every wait.
	patience = 60 * time.Second
	hostPSK  = "a host secret of the chaos tests"
)

// builds are the binaries that were compiled, by the tags that they were compiled with.
var builds struct {
	mu      sync.Mutex
	folders map[string]string
}

// compile returns a folder with the runtime and the worker, compiled with the tags.
func compile(t *testing.T, tags string) string {
	t.Helper()
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if folder := builds.folders[tags]; folder != "" {
		return folder
	}
	folder, err := os.MkdirTemp("", "chaos") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	for name, pkg := range map[string]string{runtimeBinary: "../../runtime", workerBinary: "./worker", callersBinary: "./callers"} {
		if out, err := exec.Command("go", "build", "-tags", tags, "-o", filepath.Join(folder, name), pkg).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	if builds.folders == nil {
		builds.folders = map[string]string{}
	}
	builds.folders[tags] = folder
	return folder
}

const (
	runtimeBinary = "runtime"
	workerBinary  = "worker"
	callersBinary = "callers"
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

// cluster is a runtime and workers, each a process. Between them are links that can be
// cut: before the runtime for each worker and for all, and before each worker.
type cluster struct {
	t       *testing.T
	folder  string
	front   *link // before the runtime
	address string
	workers []*worker
	// config is the configuration of the runtime.
	config string
	// workerBin and runtimeBin are the folders of the binaries that start next.
	workerBin, runtimeBin string

	// processes are all that were ever started.
	processes []*process

	mu      sync.Mutex
	runtime *process
}

type worker struct {
	cluster *cluster
	gateway string
	bind    string
	peers   *link // before the worker, for the other ones
	front   *link // before the runtime, for this worker alone
	wrap    []string

	mu      sync.Mutex
	process *process
}

// setup is how a cluster is made.
type setup struct {
	workers int
	// tags are what the binaries are compiled with.
	tags string
	// folder is where the runtime keeps its data; a temporary one by default.
	folder string
	// wrapRuntime and wrapWorkers stand before the command lines of the processes, the
	// latter one for each worker.
	wrapRuntime []string
	wrapWorkers [][]string
}

// start starts a cluster of n workers.
func start(t *testing.T, n int) *cluster {
	t.Helper()
	return launch(t, setup{workers: n})
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
	bin := compile(t, s.tags)
	if s.folder == "" {
		s.folder = t.TempDir()
	}
	ports := freePorts(t, 1+2*s.workers)
	c := &cluster{t: t, workerBin: bin, runtimeBin: bin, folder: s.folder, address: ports[0], front: newLink(t, ports[0])}
	c.config = fmt.Sprintf(`bind: %q
runtimePSKs: ["a runtime secret of the chaos tests"]
bootstrap: {method: psk, hostPSK: %q}
provider: {type: sqlite, connectionString: "data.db"}
lease: %v
`, c.address, hostPSK, lease)
	c.write("config.yaml", c.config)
	ca := exec.CommandContext(t.Context(), filepath.Join(bin, runtimeBinary), "print-ca", "-config", "config.yaml")
	ca.Dir = c.folder
	pem, err := ca.Output()
	if err != nil {
		t.Fatal(err)
	}
	c.write("ca.pem", string(pem))
	c.startRuntime(s.wrapRuntime...)
	for i := range s.workers {
		w := &worker{cluster: c, gateway: ports[1+2*i], bind: ports[2+2*i], peers: newLink(t, ports[2+2*i]), front: newLink(t, c.front.address)}
		if i < len(s.wrapWorkers) {
			w.wrap = s.wrapWorkers[i]
		}
		c.workers = append(c.workers, w)
		w.start()
	}
	for _, w := range c.workers {
		w.awaitReady()
	}
	return c
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

// checkIntegrity stops the runtime and lets SQLite look through its file.
func (c *cluster) checkIntegrity() {
	c.t.Helper()
	c.current().stop(c.t)
	db, err := sql.Open("sqlite", filepath.Join(c.folder, "data.db"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(c.t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		c.t.Errorf("the integrity of the database: %q, %v", verdict, err)
	}
}

func (c *cluster) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.folder, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// startRuntime starts the runtime, behind what stands before its command line, and waits
// until it listens.
func (c *cluster) startRuntime(wrap ...string) {
	c.t.Helper()
	c.boot(wrap...)
	c.awaitRuntime()
}

// boot starts the runtime.
func (c *cluster) boot(wrap ...string) {
	c.t.Helper()
	p := c.spawn(append(slices.Clone(wrap), filepath.Join(c.runtimeBin, runtimeBinary), "-config", "config.yaml"))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runtime = p
}

// awaitRuntime waits until the runtime listens, or has ended.
func (c *cluster) awaitRuntime() {
	c.t.Helper()
	c.await("the runtime listens", func() bool {
		conn, err := tls.Dial("tcp", c.address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only asks whether somebody listens
		if err == nil {
			conn.Close()
		}
		return err == nil || c.current().over()
	})
}

func (c *cluster) current() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runtime
}

func (w *worker) start() {
	w.cluster.t.Helper()
	p := w.cluster.spawn(append(slices.Clone(w.wrap), filepath.Join(w.cluster.workerBin, workerBinary),
		"-gateway", w.gateway, "-address", w.peers.address, "-bind", w.bind,
		"-runtime", w.front.address, "-psk", hostPSK, "-ca", "ca.pem"))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process = p
}

// restart starts the worker anew, and waits until it is ready.
func (w *worker) restart() {
	w.cluster.t.Helper()
	w.start()
	w.awaitReady()
}

func (w *worker) current() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process
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

// await asks until the answer is yes.
func (c *cluster) await(what string, is func() bool) {
	c.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ends := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(ends) {
			c.t.Errorf("waited %v in vain: %s", patience, what)
			return
		}
	}
}

// process is one running binary.
type process struct {
	cmd    *exec.Cmd
	output *output
	ended  chan struct{}
}

// spawn starts a process, in a group of its own together with what it starts.
func (c *cluster) spawn(command []string, env ...string) *process {
	c.t.Helper()
	p := &process{output: &output{}, ended: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.folder, p.output, p.output
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.processes = append(c.processes, p)
	go func() {
		_ = p.cmd.Wait() // it is killed
		close(p.ended)
	}()
	c.t.Cleanup(func() {
		p.kill()
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", p.cmd, p.output.tail())
		}
	})
	return p
}

// signal sends a signal to the process and all that it has started.
func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) } // it may have ended

// kill is kill -9.
func (p *process) kill() {
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

// freePorts finds addresses that are free now.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}
