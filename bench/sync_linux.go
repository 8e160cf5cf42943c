package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes the content of a file durable.
func syncData(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }
