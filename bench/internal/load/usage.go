package load

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Usage is what processes have used since they started.
type Usage struct {
	// Mallocs are their allocations.
	Mallocs uint64
	// CPU is their processor time; 0 is unknown.
	CPU time.Duration
}

// Own is the usage of this process.
func Own() Usage {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return Usage{Mallocs: memory.Mallocs, CPU: CPUOf(os.Getpid())}
}

// ParentOf is the process that started another one, 0 where that is unknown.
func ParentOf(pid int) int {
	fields := stat(pid)
	if len(fields) <= systemField {
		return 0
	}
	parent, err := strconv.Atoi(fields[parentField])
	if err != nil {
		return 0
	}
	return parent
}

// CPUOfFamily is the processor time of a process and of those that it has started which
// live, 0 where there is no /proc.
func CPUOfFamily(pid int) time.Duration {
	sum := CPUOf(pid)
	all, err := os.ReadDir("/proc")
	if err != nil || sum == 0 {
		return 0
	}
	for _, entry := range all {
		if other, err := strconv.Atoi(entry.Name()); err == nil && ParentOf(other) == pid {
			sum += CPUOf(other)
		}
	}
	return sum
}

// tick is the unit of times in /proc: USER_HZ is 100 on every architecture that Go
// runs on.
const tick = 10 * time.Millisecond

// The fields of /proc/PID/stat behind the name of the command, which ends with ")".
const (
	parentField = 1
	userField   = 11
	systemField = 12
)

// CPUOf is the processor time of a process, 0 where there is no /proc.
func CPUOf(pid int) time.Duration {
	fields := stat(pid)
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

// stat are the fields of /proc/PID/stat behind the name of the command, none where there
// is no such file.
func stat(pid int) []string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.Fields(rest)
}

// Peak is the most resident memory that this process has had, in bytes, 0 where there is
// no /proc.
func Peak() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes := 0
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0
	}
	return kilobytes << 10
}

// Resident is the resident memory of this process, in bytes, 0 where there is no /proc.
func Resident() int {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		return 0
	}
	return pages * os.Getpagesize()
}
