package dev

import (
	"os/exec"
	"strconv"
	"syscall"
)

// ownGroup keeps our Ctrl-C from a command, which is ended by us.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// terminate ends a command and all that it started: Windows has no way to ask.
func terminate(cmd *exec.Cmd) { kill(cmd) }

func kill(cmd *exec.Cmd) {
	_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run()
}

func alive(*exec.Cmd) bool { return false }
