//go:build linux

package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// seen is what a crowd saw; callers/main.go says it.
type seen struct {
	OK       int           `json:"ok"`
	Refused  int           `json:"refused"`
	Failed   int           `json:"failed"`
	InFlight int           `json:"inFlight"`
	Errors   []string      `json:"errors"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
}

func (r seen) String() string {
	return fmt.Sprintf("%d ok, %d refused, %d failed, %d in flight; p50 %v, p99 %v", r.OK, r.Refused, r.Failed, r.InFlight,
		r.P50.Round(10*time.Microsecond), r.P99.Round(10*time.Microsecond))
}

// crowd lets a process call the gateway of a worker, and returns what it saw.
func (w *worker) crowd(t *testing.T, nice int, args ...string) seen {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(compile(t, "", "./callers"), "callers"), append([]string{"-gateway", w.gateway}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err := cmd.Start()
	if err == nil && nice > 0 {
		err = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, nice) // every thread of it
	}
	if err = errors.Join(err, cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	var r seen
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// resident is how much memory a process has now, and had at most, in bytes.
func (p *process) resident(t *testing.T) (now, most int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	read := func(key string) int64 {
		_, rest, _ := strings.Cut(string(status), key+":")
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return kib << 10
	}
	return read("VmRSS"), read("VmHWM")
}

// tenant is p99 of somebody with other actors, who calls now and then: the median of three.
func (w *worker) tenant(t *testing.T, lasts time.Duration) time.Duration {
	t.Helper()
	var all []time.Duration
	for range 3 {
		r := w.crowd(t, 0, "-actor", "tenant", "-callers", "4", "-actors", "4", "-think", "20ms", "-lasts", (lasts / 3).String())
		if r.Refused+r.Failed > 0 {
			t.Errorf("the tenant: %v %q", r, r.Errors)
		}
		all = append(all, r.P99)
	}
	slices.Sort(all)
	return all[1]
}

// floor is what p99 of a tenant may be in any case: below it, the scheduler of a busy
// machine is measured.
const floor = 5 * time.Millisecond

// suffers reports whether p99 of a tenant, which was quiet, has become too long.
func suffers(quiet, loud time.Duration) bool { return loud > max(2*quiet, floor) }

// beside lets a crowd call, and returns what it saw, and p99 of a tenant before it and from
// when all of it has arrived. Where the tenant suffers that is done again, three times at
// most: what others do on the machine comes and goes, and what is wrong with the worker stays.
func (w *worker) beside(t *testing.T, arrives, lasts time.Duration, crowd ...string) (r seen, quiet, loud time.Duration) {
	t.Helper()
	for range 3 {
		quiet = w.tenant(t, lasts)
		came := make(chan seen, 1)
		go func() { came <- w.crowd(t, 10, crowd...) }()
		rest(t.Context(), arrives)
		loud = w.tenant(t, lasts)
		if r = <-came; !efforts(t).alone || !suffers(quiet, loud) {
			break
		}
		t.Logf("p99 of a tenant was %v, and is %v in the crowd", quiet, loud)
	}
	return r, quiet, loud
}

// T13: ten thousand callers at once, over few connections or each over one of its own,
// are all served within bounded memory, and a tenant with other actors does not suffer.
func TestT13Crowd(t *testing.T) {
	callers := efforts(t).callers
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if most := int(files.Max) - 1000; most < callers {
		t.Logf("%d file descriptors allow %d callers with a connection each, not %d", files.Max, most, callers)
		callers = most
	}
	var found []string
	for name, way := range map[string][]string{
		"streams":     {"-connections", strconv.Itoa(max(1, callers/20))},
		"connections": {"-http1"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "connections" {
				notShort(t)
			}
			c := start(t, 2)
			w := c.workers[0]
			before, _ := w.current().resident(t)
			w.tenant(t, time.Second) // warms up
			hold := efforts(t).hold
			r, quiet, loud := w.beside(t, hold, min(hold, 6*time.Second),
				append(way, "-callers", strconv.Itoa(callers), "-actors", strconv.Itoa(callers), "-hold", hold.String(), "-lasts", (2*hold).String())...)
			_, most := w.current().resident(t)
			found = append(found, fmt.Sprintf("%s: %v; the worker holds %d MiB at most, %d before; a tenant's p99 %v → %v", name, r, most>>20, before>>20, quiet, loud))
			if r.Failed+r.Refused > 0 || r.InFlight < callers*9/10 || r.P99 > time.Second {
				t.Errorf("the crowd: %v %q", r, r.Errors)
			}
			if most > 1<<30 {
				t.Errorf("the worker held %d MiB", most>>20)
			}
			if efforts(t).alone && suffers(quiet, loud) {
				t.Errorf("a tenant's p99 was %v, and is %v in the crowd", quiet, loud)
			}
		})
	}
	show(t, fmt.Sprintf("%d callers at once, over few connections (streams) and each over one of its own", callers), strings.Join(found, "; "))
}

// T13, one hot actor: more callers than may wait for it. Proxies that are refused come
// back when they were told to, so that neither they nor others suffer: everybody is served
// or refused with advice, and a tenant with other actors does not notice.
func TestT13HotActor(t *testing.T) {
	notShort(t)
	const callers = 3000 // of whom 1024 may wait
	c := start(t, 1)
	w := c.workers[0]
	w.tenant(t, time.Second) // warms up
	r, quiet, loud := w.beside(t, 2*time.Second, 6*time.Second,
		"-callers", strconv.Itoa(callers), "-connections", "150", "-hold", "2ms", "-retry", "-lasts", "4s")
	_, most := w.current().resident(t)
	show(t, fmt.Sprintf("%d callers of one actor, of whom 1024 may wait", callers),
		fmt.Sprintf("%v; the worker holds %d MiB at most; a tenant's p99 %v → %v", r, most>>20, quiet, loud))
	if r.Failed > 0 || r.OK < 1000 || r.InFlight < callers*9/10 {
		t.Errorf("the crowd: %v %q", r, r.Errors)
	}
	if efforts(t).alone && suffers(quiet, loud) {
		t.Errorf("a tenant's p99 was %v, and is %v beside the hot actor", quiet, loud)
	}
}
