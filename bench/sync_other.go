//go:build !linux

package main

import "os"

// syncData makes the content of a file durable, and what else there is of it.
func syncData(file *os.File) error { return file.Sync() }
