//go:build unix

package dev

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a command the leader of a process group: "go run" and shells start
// children that they do not end.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func terminate(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// alive reports whether anything of the group is left. The command itself has been
// waited for; orphans that became our children are, here.
func alive(cmd *exec.Cmd) bool {
	for {
		pid, err := syscall.Wait4(-cmd.Process.Pid, nil, syscall.WNOHANG, nil)
		if err != nil || pid <= 0 {
			break
		}
	}
	return syscall.Kill(-cmd.Process.Pid, 0) == nil
}
