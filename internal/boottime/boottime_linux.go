package boottime

import (
	"syscall"
	"time"
	"unsafe"
)

// clockBoottime is CLOCK_BOOTTIME of clock_gettime(2).
const clockBoottime = 7

// SinceBoot is the time since the machine was booted, suspends included.
func SinceBoot() time.Duration {
	var at syscall.Timespec
	_, _, failed := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&at)), 0) //nolint:gosec // the kernel fills it in
	if failed != 0 {                                                                                              // a kernel before 2.6.39
		return Monotonic()
	}
	return time.Duration(at.Nano())
}
