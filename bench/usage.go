package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// usage is what processes have used since they started.
type usage struct {
	mallocs uint64
	cpu     time.Duration
}

// usageOf is the usage of this process and its children together.
func usageOf(children []*child) (usage, error) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	sum := usage{mallocs: memory.Mallocs, cpu: cpuOf(os.Getpid())}
	for _, c := range children {
		mallocs, err := c.mallocs()
		if err != nil {
			return usage{}, err
		}
		sum.mallocs += mallocs
		sum.cpu += cpuOf(c.pid())
	}
	return sum, nil
}

// tick is the unit of times in /proc: USER_HZ is 100 on every architecture that Go
// runs on.
const tick = 10 * time.Millisecond

// The fields of /proc/PID/stat behind the name of the command, which ends with ")".
const (
	userField   = 11
	systemField = 12
)

// cpuOf is the processor time of a process, 0 where there is no /proc.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) <= systemField {
		return 0
	}
	ticks := 0
	for _, field := range fields[userField : systemField+1] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// machine describes what the figures were taken on.
func machine() string {
	return fmt.Sprintf("%s, %d cores, %s, %s/%s, kernel %s", model(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel())
}

func model() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(release))
}
