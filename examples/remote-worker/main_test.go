package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/encoding/protojson"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1connect"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/internal/port"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/remote"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// cluster are the real processes of the walkthrough, on free ports.
type cluster struct {
	t           *testing.T
	bin, folder string
	runtime     string
	http, peer  [2]string
}

// TestWalkthrough does what the README says, and then kills what can be killed.
func TestWalkthrough(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	runtime := c.startRuntime()
	workers := [2]*process{c.startWorker(0), c.startWorker(1)}

	// The calls of the README: any worker reaches the one activation.
	c.wantCount(0, "id1", 42, 42)
	c.wantCount(1, "id1", 42, 84)
	c.wantCount(1, "id2", 42, 42)
	c.wantCount(0, "id2", 42, 84)

	// The alarm of the README, set through the worker that may not have the actor.
	c.remind(0, "id3", "0s")
	c.await("the alarm is seen", func() bool { return c.get(1, "id3") == `{"Out":1}` })

	// The runtime dies; calls wait until it is back, and go on from where they were.
	runtime.kill()
	restarted := make(chan *process, 1)
	go func() { restarted <- c.startRuntime() }()
	c.wantCount(0, "id1", 1, 85)
	c.wantCount(1, "id2", 1, 85)
	runtime = <-restarted

	// An alarm is due while the worker of its actor is dead.
	c.remind(1, "id1", "1s")
	c.remind(1, "id2", "1s")

	// A worker dies; the other one takes its actors over. A call that was under way
	// would be told that its outcome is unknown, so a view asks first.
	workers[0].kill()
	for _, id := range []string{"id1", "id2"} {
		c.await("the actors have moved, and their alarms with them", func() bool { return c.get(1, id) == `{"Out":86}` })
	}
	c.wantCount(1, "id1", 1, 87)
	c.wantCount(1, "id2", 1, 87)
	workers[0] = c.startWorker(0)
	c.wantCount(0, "id1", 1, 88)
	c.wantCount(0, "id2", 1, 88)

	// A worker is asked to stop; it hands its actors over, and no call fails.
	workers[1].stop()
	c.wantCount(0, "id1", 1, 89)
	c.wantCount(0, "id2", 1, 89)

	// Everything stops; the state is still there.
	workers[0].stop()
	runtime.stop()
	runtime = c.startRuntime()
	workers[0] = c.startWorker(0)
	c.wantCount(0, "id1", 1, 90)
	c.wantCount(0, "id2", 1, 90)
	workers[0].stop()
	runtime.stop()
}

// TestEveryProtocol calls the same actor in every way there is, through a worker
// that may host it or not.
func TestEveryProtocol(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.startRuntime()
	c.startWorker(0)
	c.startWorker(1)
	want := int32(0)
	if got, err := c.fromHost(t)(t.Context(), "shared"); err != nil || got != 1 {
		t.Errorf("proxy on a host: %d, %v; want 1", got, err)
	}
	want++
	for worker := range c.http {
		for name, increment := range c.callers(worker) {
			want++
			got, err := increment(t.Context(), "shared")
			if err != nil || got != want {
				t.Errorf("%s through worker %d: %d, %v; want %d", name, worker, got, err, want)
			}
		}
		if got := c.get(worker, "shared"); got != fmt.Sprintf(`{"Out":%d}`, want) {
			t.Errorf("GET through worker %d: %s, want %d", worker, got, want)
		}
	}
}

// fromHost is the proxy on a worker of this process, which hosts no actors itself.
func (c *cluster) fromHost(t *testing.T) increment {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(c.folder, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	host, err := remote.NewHost(
		remote.WithAddress("127.0.0.1:0"), remote.WithRuntimeAddresses("127.0.0.1:1", c.runtime), // the first is dead
		remote.WithHostBootstrapPSK([]byte("example-host-bootstrap-psk-change-me")), remote.WithPinnedCA(pem),
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(ctx context.Context, id string) (int32, error) { // waits until the host has joined
		res, err := myactorv1francis.NewMyActorProxy(host.Service(), id).Increment(ctx, &myactorv1.IncrementRequest{In: 1})
		return res.GetOut(), err
	}
}

type increment func(ctx context.Context, id string) (int32, error)

// callers are the ways to add 1 through a worker.
func (c *cluster) callers(worker int) map[string]increment {
	base := "http://" + c.http[worker]
	h2c := &http.Client{Transport: &http.Transport{Protocols: unencryptedHTTP2()}}
	c.t.Cleanup(h2c.CloseIdleConnections)
	return map[string]increment{
		"proxy over the gateway": func(ctx context.Context, id string) (int32, error) {
			res, err := myactorv1francis.NewMyActorProxy(sdk.Gateway(http.DefaultClient, base), id).
				Increment(ctx, &myactorv1.IncrementRequest{In: 1})
			return res.GetOut(), err
		},
		"buf curl":         c.bufCurl(base),
		"Connect":          generated(connecthttp.NewTransport(http.DefaultClient, base)),
		"Connect and JSON": generated(connecthttp.NewTransport(http.DefaultClient, base, connecthttp.WithProtoJSON())),
		"gRPC":             generated(connecthttp.NewTransport(h2c, base, connecthttp.WithGRPC())),
		"gRPC-Web":         generated(connecthttp.NewTransport(http.DefaultClient, base, connecthttp.WithGRPCWeb())),
	}
}

// bufCurl knows the contract by reflection only.
func (c *cluster) bufCurl(base string) increment {
	return func(ctx context.Context, id string) (int32, error) {
		buf, err := exec.CommandContext(ctx, "go", "tool", "-n", "-modfile=../../tools/go.mod", "buf").Output()
		if err != nil {
			return 0, fmt.Errorf("build buf: %w", err)
		}
		curl := exec.CommandContext(ctx, strings.TrimSpace(string(buf)), "curl", "--http2-prior-knowledge",
			"--header", "Francis-Actor-Id: "+id, "--data", `{"In": 1}`, base+"/myactor.v1.MyActor/Increment")
		out, err := curl.Output()
		if err != nil {
			return 0, fmt.Errorf("buf curl: %w", err)
		}
		var res myactorv1.IncrementResponse
		err = protojson.Unmarshal(out, &res)
		return res.GetOut(), err
	}
}

func unencryptedHTTP2() *http.Protocols {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &protocols
}

// generated calls through the client that protoc-gen-connect-go generates.
func generated(transport connect.Transport) increment {
	client := myactorv1connect.NewMyActorClient(connect.NewClient(transport))
	return func(ctx context.Context, id string) (int32, error) {
		ctx, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set("Francis-Actor-Id", id)
		res, err := client.Increment(ctx, &myactorv1.IncrementRequest{In: 1})
		return res.GetOut(), err
	}
}

// newCluster builds the binaries and writes the configuration of the example.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, bin: t.TempDir(), folder: t.TempDir()}
	for name, pkg := range map[string]string{"runtime": "../../runtime", "remote-worker": "."} {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(c.bin, name), pkg)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	c.runtime = port.Reserve(t)
	for i := range c.http {
		c.http[i], c.peer[i] = port.Reserve(t), port.Reserve(t)
	}
	text, err := os.ReadFile("config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte("127.0.0.1:7400"), []byte(c.runtime))
	c.write("config.yaml", append(text, "lease: 2s\n"...))
	ca := exec.CommandContext(t.Context(), filepath.Join(c.bin, "runtime"), "print-ca", "-config", "config.yaml")
	ca.Dir = c.folder
	pem, err := ca.Output()
	if err != nil {
		t.Fatal(err)
	}
	c.write("ca.pem", pem)
	return c
}

func (c *cluster) write(name string, text []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.folder, name), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// process is one running binary.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *bytes.Buffer
	ended  chan struct{}
	err    error
}

func (c *cluster) start(name string, args ...string) *process {
	c.t.Helper()
	p := &process{t: c.t, output: &bytes.Buffer{}, ended: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(c.bin, name), args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.folder, p.output, p.output
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	c.t.Cleanup(func() {
		p.kill()
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", p.cmd, p.output)
		}
	})
	return p
}

func (c *cluster) startRuntime() *process {
	p := c.start("runtime", "-config", "config.yaml")
	c.await("the runtime listens", func() bool {
		conn, err := tls.Dial("tcp", c.runtime, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only asks whether somebody listens
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return p
}

func (c *cluster) startWorker(n int) *process {
	p := c.start("remote-worker", "-worker-address", c.http[n], "-actor-host-address", c.peer[n],
		"-runtime-address", c.runtime, "-pinned-ca", "ca.pem")
	c.await(fmt.Sprintf("worker %d is healthy", n), func() bool {
		res, err := http.Post("http://"+c.http[n]+"/grpc.health.v1.Health/Check", "application/json", strings.NewReader("{}"))
		if err != nil {
			return false
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return strings.Contains(string(body), `"SERVING"`)
	})
	return p
}

// await asks until the answer is yes.
func (c *cluster) await(what string, is func() bool) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(deadline) {
			c.t.Errorf("waited %v in vain: %s", patience, what)
			return
		}
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the process to end, which it does without a fault.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%s does not stop", p.cmd)
	}
	if p.err != nil {
		p.t.Errorf("%s: %v", p.cmd, p.err)
	}
}

// wantCount increments the way that the README's curl does, and checks the answer.
func (c *cluster) wantCount(worker int, id string, in, want int32) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.http[worker]+"/invoke/myactor/"+id+"/increment",
		strings.NewReader(fmt.Sprintf(`{"In": %d}`, in)))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got := c.do(req); got != fmt.Sprintf(`{"Out":%d}`, want) {
		c.t.Errorf("increment of %s by %d through worker %d: %s, want %d", id, in, worker, got, want)
	}
}

// remind sets the alarm of the README, with a delay of its own.
func (c *cluster) remind(worker int, id, delay string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.http[worker]+"/alarm/myactor/"+id+"/tea",
		strings.NewReader(`{"method": "remind", "data": {"Text": "tea is ready", "In": 1}, "dueTime": "`+delay+`"}`))
	if err != nil {
		c.t.Fatal(err)
	}
	if got := c.do(req); got != "{}" {
		c.t.Errorf("an alarm of %s through worker %d: %s", id, worker, got)
	}
}

func (c *cluster) get(worker int, id string) string {
	c.t.Helper()
	query := url.Values{"encoding": {"json"}, "message": {"{}"}}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "http://"+c.http[worker]+"/myactor.v1.MyActor/Get?"+query.Encode(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Francis-Actor-Id", id)
	return c.do(req)
}

func (c *cluster) do(req *http.Request) string {
	c.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Error(err)
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Error(err)
	}
	return string(body)
}
