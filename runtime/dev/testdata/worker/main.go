// Command worker stands in for a worker in the tests of the dev command. It leaves a
// file for each thing that happens in the folder FAKE_FOLDER, with a process id.
//
//	worker plain      runs until it is asked to end
//	worker wrap       starts "worker drain" and dies at once when asked, as "go run" does
//	worker drain      takes a while to end
//	worker crash      fails the first time, and leaves "worker silent" behind
//	worker silent     is plain without a word
//	worker stubborn   does not end when asked
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func main() {
	mode := os.Args[1]
	asked := make(chan os.Signal, 1)
	if mode != "wrap" {
		signal.Notify(asked, syscall.SIGTERM)
	}
	switch mode {
	case "wrap":
		child("drain")
		<-asked
	case "crash":
		if mark("crashed", os.Getpid()) {
			mark("orphan", child("silent"))
			fmt.Fprint(os.Stderr, "about to crash")
			os.Exit(3)
		}
	}
	if mode != "silent" {
		serve(mode)
	}
	for range asked {
		if mode != "stubborn" {
			break
		}
		mark("asked", os.Getpid())
	}
	if mode == "drain" {
		time.Sleep(300 * time.Millisecond) // the last turns of a worker
		mark("drained", os.Getpid())
	}
}

// serve says that the worker is ready.
func serve(mode string) {
	mark(mode, os.Getpid())
	fmt.Println("serving as", os.Getenv("FRANCIS_WORKER_NAME"), "on", os.Getenv("FRANCIS_HTTP_ADDRESS"))
	announce()
}

// child starts another process that stays in our group, and returns its id.
func child(mode string) int {
	cmd := exec.Command(os.Args[0], mode)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	return cmd.Process.Pid
}

// mark notes that something happened and to which process, and reports whether it is
// the first time.
func mark(what string, pid int) bool {
	file := filepath.Join(os.Getenv("FAKE_FOLDER"), os.Getenv("FRANCIS_WORKER_NAME")+"."+what)
	_, err := os.Stat(file)
	write(file, strconv.Itoa(pid))
	return errors.Is(err, fs.ErrNotExist)
}

// announce stands in for the join: the test's runtime reads it.
func announce() {
	write(filepath.Join(os.Getenv("FAKE_FOLDER"), os.Getenv("FRANCIS_WORKER_NAME")+".address"), os.Getenv("FRANCIS_WORKER_ADDRESS"))
}

// write makes a file appear with its whole content.
func write(file, text string) {
	next := file + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(next, file); err != nil {
		panic(err)
	}
}
