package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/serve"
	"github.com/francis-actors/francis/sdk/remote"
)

// patience bounds each wait; nothing here takes so long.
const patience = time.Minute

// It is the first thing that people copy.
func TestOneFileUnderAHundredLines(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(source, []byte("\n")); lines >= 100 {
		t.Errorf("main.go has %d lines", lines)
	}
}

// The calls of its comment; the carts are still there after a restart.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	binary, file := build(t), filepath.Join(t.TempDir(), "carts.db")
	app := start(t, binary, file)
	app.want("alice", "add", `{"thing": "apple", "quantity": 3}`, `{"quantity":3}`)
	app.want("alice", "add", `{"thing": "apple", "quantity": 2}`, `{"quantity":5}`)
	app.want("bob", "add", `{"thing": "pear", "quantity": 1}`, `{"quantity":1}`)
	app.want("alice", "show", `{}`, `{"things":{"apple":5}}`)
	if got := app.post("alice", "add", `{"thing": "apple"}`); !strings.Contains(got, "the quantity must be positive") {
		t.Errorf("nothing is added: %s", got)
	}
	app.stop()
	app = start(t, binary, file)
	app.want("alice", "show", `{}`, `{"things":{"apple":5}}`)
	app.stop()
}

// Where the environment names a runtime, the same program is a worker of its cluster.
func TestQuickstartAsAWorker(t *testing.T) {
	t.Parallel()
	const psk = "a host secret of the quickstart"
	cfg, err := config.Parse("config.yaml", []byte(`
runtimePSKs: ["a runtime secret of the quickstart"]
bootstrap: {method: psk, hostPSK: "`+psk+`"}
provider: {type: memory}
`))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Bind = "127.0.0.1:0"
	runtime := serveRuntime(t, cfg)
	authority, err := cfg.Authority()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "none.db")
	app := start(t, build(t), file,
		remote.EnvRuntimeAddresses+"="+runtime, remote.EnvWorkerAddress+"=127.0.0.1:0",
		remote.EnvHostPSK+"="+psk, remote.EnvCA+"="+string(authority.Bundle().PEM()))
	app.want("alice", "add", `{"thing": "apple", "quantity": 3}`, `{"quantity":3}`)
	app.want("alice", "show", `{}`, `{"things":{"apple":3}}`)
	app.stop()
	if _, err := os.Stat(file); err == nil {
		t.Error("a worker has made a file of its own")
	}
}

// serveRuntime runs a runtime until the test ends, and returns its address.
func serveRuntime(t *testing.T, cfg *config.Config) string {
	t.Helper()
	runtime, err := serve.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- runtime.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return runtime.Address().String()
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "quickstart")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// application is a quickstart that runs.
type application struct {
	*exec.Cmd

	t   *testing.T
	url string
	// log is what it still writes.
	log <-chan string
}

var served = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// start runs the binary on a free port, and waits until it says where.
func start(t *testing.T, binary, file string, environment ...string) *application {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	app := &application{Cmd: exec.CommandContext(ctx, binary, "-address", "127.0.0.1:0", "-file", file), t: t}
	app.Env = append(os.Environ(), environment...)
	stderr, err := app.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	for app.url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it ends with %q, %v", line, err)
		}
		app.url = served.FindString(line)
	}
	rest := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(lines)
		rest <- string(text)
	}()
	app.log = rest
	return app
}

// stop asks it to end, and waits until it has.
func (a *application) stop() {
	a.t.Helper()
	if err := a.Process.Signal(syscall.SIGTERM); err != nil {
		a.t.Fatal(err)
	}
	rest := <-a.log
	if err := a.Wait(); err != nil {
		a.t.Errorf("it ends with %v:\n%s", err, rest)
	}
}

// post calls a method of a cart.
func (a *application) post(cart, method, body string) string {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/invoke/cart/"+cart+"/"+method, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(answer)
}

// want calls a method, and compares what it answers.
func (a *application) want(cart, method, body, want string) {
	a.t.Helper()
	var compact bytes.Buffer
	if got := a.post(cart, method, body); json.Compact(&compact, []byte(got)) != nil || compact.String() != want {
		a.t.Errorf("%s of %s answers %s, want %s", method, cart, got, want)
	}
}
