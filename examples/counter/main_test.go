package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect/v2/connecthttp"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
)

// patience bounds each wait; nothing here takes so long.
const patience = time.Minute

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "counter")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// process is a counter that runs.
type process struct {
	*exec.Cmd
	url string
	// log is what it still writes.
	log <-chan string
}

var served = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// start runs the binary on a free port and waits until it says that it serves.
func start(t *testing.T, binary string) process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, "-address", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	url := served.FindString(line)
	if err != nil || url == "" {
		_ = cmd.Process.Kill()
		t.Fatalf("the counter says %q (%v), want where it serves", line, err)
	}
	rest := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(lines)
		rest <- string(text)
	}()
	return process{cmd, url, rest}
}

// stop sends a signal and waits for the end.
func (p process) stop(t *testing.T, signal os.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	log := <-p.log // ends with the process
	if err := p.Wait(); err != nil {
		t.Errorf("after %v: %v\n%s", signal, err, log)
	}
	if !strings.Contains(log, "stopping") {
		t.Errorf("the log %q does not say that the counter stops", log)
	}
}

// increment is the call of the walkthrough, as curl sends it.
func increment(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/invoke/myactor/id1/increment", strings.NewReader(`{"In": 42}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "curl/8.5.0")
	req.Header.Set("Accept", "*/*")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d, body %q (%v)", res.StatusCode, body, err)
	}
	return string(body)
}

func TestWalkthrough(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			counter := start(t, binary)
			for _, want := range []string{`{"Out":42}`, `{"Out":84}`} {
				if got := increment(t, counter.url); got != want {
					t.Errorf("body %q, want %q", got, want)
				}
			}
			wantOverGRPC(t, counter.url)
			counter.stop(t, signal)
		})
	}
}

// The same counter answers the typed proxy over gRPC.
func wantOverGRPC(t *testing.T, url string) {
	t.Helper()
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: h2c}
	defer transport.CloseIdleConnections()
	caller := sdk.Gateway(&http.Client{Transport: transport}, url, connecthttp.WithGRPC())
	res, err := myactorv1francis.NewMyActorProxy(caller, "id1").Get(t.Context(), &myactorv1.GetRequest{}, sdk.WithTimeout(patience))
	if err != nil || res.GetOut() != 84 {
		t.Errorf("over gRPC the counter says %d (%v), want 84", res.GetOut(), err)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, build(t), "-address", taken.Addr().String()).CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "choose another address with -address") {
		t.Errorf("the counter ends with %v and says %q; want code 1 and what to do", err, out)
	}
}
