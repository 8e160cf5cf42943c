package sqlite

import (
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes a lock that ends with the process, or fails at once. It covers the
// last byte that there can be, so that the others can be read.
func tryLock(file *os.File) error {
	return windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, lastByte())
}

func unlock(file *os.File) error {
	return windows.UnlockFileEx(windows.Handle(file.Fd()), 0, 1, 0, lastByte())
}

func lastByte() *windows.Overlapped {
	return &windows.Overlapped{Offset: math.MaxUint32 - 1, OffsetHigh: math.MaxInt32}
}
