//go:build unix

package dev_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/descriptorpb"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/dev"
)

// worker is the fake worker, built once.
var worker = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "francis-dev-test-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(folder, "worker")
	out, err := exec.Command("go", "build", "-o", binary, "./testdata/worker").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return binary, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if binary, err := worker(); err == nil {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// output is what the dev command writes, for reading while it does.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// fakeRuntime knows the workers that left their address in the folder.
type fakeRuntime struct {
	folder string
	cfg    *config.Config
	ended  chan error
}

func (r *fakeRuntime) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-r.ended:
		return err
	}
}

func (r *fakeRuntime) Workers(context.Context) (workers []*runtimev1.Worker, err error) {
	files, err := filepath.Glob(filepath.Join(r.folder, "*.address"))
	for _, file := range files {
		address, _ := os.ReadFile(file)
		workers = append(workers, &runtimev1.Worker{Address: string(address)})
	}
	return workers, err
}

func (*fakeRuntime) Types(context.Context) ([]*runtimev1.ActorType, error) {
	files := &descriptorpb.FileDescriptorSet{}
	addFile(files, myactorv1.File_myactor_v1_myactor_proto)
	return []*runtimev1.ActorType{{Name: "myactor", Service: "myactor.v1.MyActor", Files: files}}, nil
}

// run is a dev command that runs.
type run struct {
	t          *testing.T
	folder     string
	out        *output
	runtime    *fakeRuntime
	stop, kill context.CancelFunc
	done       chan error
}

func begin(t *testing.T, cfg dev.Config, mode string) *run {
	t.Helper()
	binary, err := worker()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{t: t, folder: t.TempDir(), out: &output{}, done: make(chan error, 1)}
	r.runtime = &fakeRuntime{folder: r.folder, ended: make(chan error, 1)}
	cfg.Command = []string{"/usr/bin/env", "FAKE_FOLDER=" + r.folder, binary, mode}
	cfg.Out, cfg.HTTPAddress = r.out, "127.0.0.1:18081"
	cfg.Start = func(_ context.Context, cfg *config.Config, log *slog.Logger) (dev.Runtime, error) {
		log.Info("the runtime starts")
		r.runtime.cfg = cfg
		return r.runtime, nil
	}
	var stop, kill context.Context
	stop, r.stop = context.WithCancel(context.Background())
	kill, r.kill = context.WithCancel(context.Background())
	go func() { r.done <- dev.Run(stop, kill, cfg) }()
	t.Cleanup(func() { r.stop(); r.kill(); <-r.done })
	return r
}

// patience is how long a test waits for what must come.
const patience = time.Minute

func (r *run) eventually(what string, holds func() bool) {
	r.t.Helper()
	for late := time.Now().Add(patience); !holds(); {
		if time.Now().After(late) {
			r.t.Fatalf("%s: not after %v; the output:\n%s", what, patience, r.out)
		}
		time.Sleep(5 * time.Millisecond) // real time: another process does not tell when
	}
}

// prints waits until the text has been written.
func (r *run) prints(text string) {
	r.t.Helper()
	r.eventually("print "+text, func() bool { return strings.Contains(r.out.String(), text) })
}

// pid waits until a worker has marked something, and returns its process id.
func (r *run) pid(mark string) int {
	r.t.Helper()
	var text []byte
	r.eventually("mark "+mark, func() bool {
		var err error
		text, err = os.ReadFile(filepath.Join(r.folder, mark))
		return err == nil
	})
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		r.t.Fatal(err)
	}
	return pid
}

func (r *run) marked(mark string) bool {
	_, err := os.Stat(filepath.Join(r.folder, mark))
	return err == nil
}

// ends waits for the end and checks that the processes are gone.
func (r *run) ends(want error, pids ...int) {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		if !errors.Is(err, want) {
			r.t.Errorf("ended with %v, want %v", err, want)
		}
	case <-time.After(patience):
		r.t.Fatalf("it does not end; the output:\n%s", r.out)
	}
	for _, pid := range pids {
		if lives(pid) {
			r.t.Errorf("process %d is left behind; the output:\n%s", pid, r.out)
		}
	}
}

func lives(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestWorkersRunUntilTheEnd(t *testing.T) {
	t.Parallel()
	r := begin(t, dev.Config{Workers: 2}, "wrap")
	r.prints("Press Ctrl-C to end.")
	pids := []int{r.pid("worker-1.drain"), r.pid("worker-2.drain")}
	home := r.runtime.cfg.Provider.ConnectionString
	r.stop()
	r.ends(nil, pids...)
	for _, want := range []string{"worker-1.drained", "worker-2.drained"} {
		if !r.marked(want) {
			t.Errorf("%s is missing: the worker was killed in the middle of its work", want)
		}
	}
	for _, want := range []string{
		"runtime  | ", "the runtime starts",
		"\nworker-1 | serving as worker-1 on 127.0.0.1:18",
		"\nworker-2 | serving as worker-2 on 127.0.0.1:18",
		"curl -X POST http://127.0.0.1:18", `/invoke/myactor/id1/increment --data '{"In":42}'` + "\n",
		`/invoke/myactor/id1/get --data '{}'` + "\n",
		"\ndev      | -- stopping the workers",
	} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("%q is missing in the output:\n%s", want, r.out)
		}
	}
	if _, err := os.Stat(filepath.Dir(home)); err == nil {
		t.Errorf("the temporary folder %s is left behind", filepath.Dir(home))
	}
}

func TestACrashedWorkerStartsAgain(t *testing.T) {
	t.Parallel()
	r := begin(t, dev.Config{Workers: 1}, "crash")
	orphan := r.pid("worker-1.orphan")
	r.prints("worker-1 | about to crash\n")
	r.prints("worker-1 | -- the worker ended (exit status 3); it starts again in 500ms")
	if lives(orphan) {
		t.Errorf("the child %d of the crashed worker lives on", orphan)
	}
	again := r.pid("worker-1.crash")
	r.prints("Press Ctrl-C to end.")
	r.stop()
	r.ends(nil, again)
}

func TestAStubbornWorkerIsKilledAfterTheGrace(t *testing.T) {
	t.Parallel()
	r := begin(t, dev.Config{Workers: 1, Grace: 100 * time.Millisecond}, "stubborn")
	pid := r.pid("worker-1.stubborn")
	r.prints("serving as worker-1")
	r.stop()
	r.ends(nil, pid)
	if !r.marked("worker-1.asked") {
		t.Error("the worker was not asked before it was killed")
	}
}

func TestASecondSignalKillsAtOnce(t *testing.T) {
	t.Parallel()
	r := begin(t, dev.Config{Workers: 1, Grace: time.Hour}, "stubborn")
	pid := r.pid("worker-1.stubborn")
	r.stop()
	r.pid("worker-1.asked")
	r.kill()
	r.ends(dev.ErrKilled, pid)
}

func TestWorkersEndWithTheRuntime(t *testing.T) {
	t.Parallel()
	r := begin(t, dev.Config{Workers: 2}, "plain")
	pids := []int{r.pid("worker-1.plain"), r.pid("worker-2.plain")}
	broken := errors.New("the disk failed")
	r.runtime.ended <- broken
	r.ends(broken, pids...)
}

func TestTheDataFolderIsKept(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "cluster")
	var pins []pki.Pin
	for range 2 {
		r := begin(t, dev.Config{Workers: 1, Data: data}, "plain")
		r.pid("worker-1.plain")
		r.stop()
		r.ends(nil)
		cfg, err := config.Load(filepath.Join(data, "config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		authority, err := cfg.Authority()
		if err != nil {
			t.Fatal(err)
		}
		pins = append(pins, authority.Bundle().Pins()...)
		if want := filepath.Join(data, "data.db"); cfg.Provider.ConnectionString != want {
			t.Errorf("the data is in %s, want %s", cfg.Provider.ConnectionString, want)
		}
	}
	if pins[0] != pins[1] {
		t.Error("the second run has other keys")
	}
}

func TestAnInvalidConfigStartsNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg  dev.Config
		want string
	}{
		"no command":      {dev.Config{Workers: 1}, "no worker command; write it after two dashes: runtime dev -- go run ./worker"},
		"no workers":      {dev.Config{Command: []string{"sh"}}, "-workers is 0; it must be between 1 and 64"},
		"level":           {dev.Config{Command: []string{"sh"}, Workers: 1, LogLevel: "loud"}, `-log-level is "loud"; it must be one of debug, info, warn, error`},
		"too many":        {dev.Config{Command: []string{"sh"}, Workers: 65}, "-workers is 65; it must be between 1 and 64"},
		"unknown command": {dev.Config{Command: []string{"./nothing"}, Workers: 1}, `the worker command cannot be run: exec: "./nothing": stat ./nothing: no such file or directory`},
		"bad HTTP port":   {dev.Config{Command: []string{"sh"}, Workers: 1, HTTPAddress: "localhost:0"}, `-http "localhost:0" has the port "0"; it must be a number from 1 to 65535`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := dev.Run(t.Context(), t.Context(), test.cfg)
			if !errors.As(err, new(*dev.InvalidError)) || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}
