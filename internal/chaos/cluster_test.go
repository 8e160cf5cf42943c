//go:build unix

package chaos

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// lease is that of all clusters here.
	lease = 2 * time.Second
	// patience bounds every wait.
	patience = 60 * time.Second
	hostPSK  = "a host secret of the chaos tests"
)

var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return "", err
	}
	for name, pkg := range map[string]string{"runtime": "../../runtime", "worker": "./worker", "callers": "./callers"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg).CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := binaries(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// cluster is a runtime and workers, each a process. Between them are links that can be
// cut: one before the runtime, and one before each worker.
type cluster struct {
	t       *testing.T
	bin     string
	folder  string
	front   *link // before the runtime
	address string
	workers []*worker
	// files is how many file descriptors each process may have; 0 is as many as the tests.
	files int

	mu      sync.Mutex
	runtime *process
}

type worker struct {
	cluster *cluster
	gateway string
	bind    string
	peers   *link // before the worker, for the other ones

	mu      sync.Mutex
	process *process
}

// start starts a cluster of n workers.
func start(t *testing.T, n int) *cluster {
	t.Helper()
	return startWithin(t, n, 0)
}

// startWithin starts a cluster whose processes have so many file descriptors.
func startWithin(t *testing.T, n, files int) *cluster {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 1+2*n)
	c := &cluster{t: t, bin: bin, files: files, folder: t.TempDir(), address: ports[0], front: newLink(t, ports[0])}
	c.write("config.yaml", fmt.Sprintf(`bind: %q
runtimePSKs: ["a runtime secret of the chaos tests"]
bootstrap: {method: psk, hostPSK: %q}
provider: {type: sqlite, connectionString: "data.db"}
lease: %v
`, c.address, hostPSK, lease))
	ca := exec.CommandContext(t.Context(), filepath.Join(bin, "runtime"), "print-ca", "-config", "config.yaml")
	ca.Dir = c.folder
	pem, err := ca.Output()
	if err != nil {
		t.Fatal(err)
	}
	c.write("ca.pem", string(pem))
	c.startRuntime()
	for i := range n {
		w := &worker{cluster: c, gateway: ports[1+2*i], bind: ports[2+2*i], peers: newLink(t, ports[2+2*i])}
		c.workers = append(c.workers, w)
		w.start()
	}
	for _, w := range c.workers {
		w.awaitReady()
	}
	return c
}

func (c *cluster) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.folder, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) startRuntime() {
	p := c.spawn("runtime", "-config", "config.yaml")
	c.mu.Lock()
	c.runtime = p
	c.mu.Unlock()
	c.await("the runtime listens", func() bool {
		conn, err := tls.Dial("tcp", c.address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only asks whether somebody listens
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (c *cluster) current() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runtime
}

func (w *worker) start() {
	p := w.cluster.spawn("worker", "-gateway", w.gateway, "-address", w.peers.address, "-bind", w.bind,
		"-runtime", w.cluster.front.address, "-psk", hostPSK, "-ca", "ca.pem")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process = p
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

func (c *cluster) spawn(name string, args ...string) *process {
	c.t.Helper()
	p := &process{output: &output{}, ended: make(chan struct{})}
	command := append([]string{filepath.Join(c.bin, name)}, args...)
	if c.files > 0 {
		command = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, c.files)}, command...)
	}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.folder, p.output, p.output
	if err := p.cmd.Start(); err != nil {
		c.t.Error(err)
		close(p.ended)
		return p
	}
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

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the process to end, which it does without a fault.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
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
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	rest(ctx, d)
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
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
