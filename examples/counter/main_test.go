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

// documented are the calls of the page about alarms and jobs, each with what it is said to
// be answered.
func documented(t *testing.T) [][2]string {
	t.Helper()
	page, err := os.ReadFile(filepath.FromSlash("../../docs/alarms-and-jobs.md"))
	if err != nil {
		t.Fatal(err)
	}
	var calls [][2]string
	for _, block := range regexp.MustCompile("(?m)^<!-- curl -->\n```sh\n((?s:.*?))^```$").FindAllSubmatch(page, -1) {
		command := ""
		for line := range strings.Lines(string(block[1])) {
			answer, ok := strings.CutPrefix(line, "# ")
			if !ok {
				command += line
				continue
			}
			calls = append(calls, [2]string{command, strings.TrimSpace(answer)})
			command = ""
		}
	}
	if len(calls) < 5 {
		t.Fatalf("the page has %d calls only; is the pattern of this test right?", len(calls))
	}
	return calls
}

// The page about alarms and jobs shows calls that work, in this order.
func TestDocumentedCalls(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	counter := start(t, build(t))
	for _, call := range documented(t) {
		command := strings.ReplaceAll(call[0], "http://localhost:8081", counter.url)
		out, err := exec.CommandContext(t.Context(), "bash", "-c", `curl() { command curl -sS "$@"; }; `+command).CombinedOutput()
		want := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(call[1]), "…", ".+") + "$")
		if err != nil || !want.Match(out) {
			t.Errorf("%sis answered\n%s (%v), want\n%s", call[0], out, err, call[1])
		}
	}
	counter.stop(t, syscall.SIGTERM)
}

// An alarm that is due is seen: in the counter and in the log.
func TestAlarmIsSeen(t *testing.T) {
	t.Parallel()
	counter := start(t, build(t))
	proxy := myactorv1francis.NewMyActorProxy(sdk.Gateway(http.DefaultClient, counter.url), "id1")
	if err := proxy.ScheduleRemind(t.Context(), "tea", sdk.After(time.Millisecond), &myactorv1.RemindRequest{Text: "tea is ready", In: 42}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for value := int32(0); value != 42 && ctx.Err() == nil; <-tick.C {
		res, err := proxy.Get(ctx, &myactorv1.GetRequest{})
		if err != nil {
			t.Fatal(err)
		}
		value = res.GetOut()
	}
	if err := counter.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	log := <-counter.log
	if err := counter.Wait(); err != nil || !strings.Contains(log, `text="tea is ready" counter=42 alarm=tea`) {
		t.Errorf("the counter ended with %v and the log\n%s", err, log)
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
