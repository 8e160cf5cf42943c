package dev

import (
	"context"
	"io"
	"os"
	"os/exec"
	"time"
)

// process is a running worker: the command, and all that it started in its group.
type process struct {
	cmd *exec.Cmd
	out *os.File
	// exited is closed when the command has ended, copied when all it wrote has been
	// passed on. What it started may still run then.
	exited chan struct{}
	copied chan struct{}
	err    error
}

// start starts a command whose output goes to out.
func start(command, env []string, out io.Writer) (*process, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer writer.Close()
	p := &process{out: reader, exited: make(chan struct{}), copied: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...) //nolint:gosec,noctx // the user names the command; it ends with its group, not with a context
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, writer, writer
	ownGroup(p.cmd)
	if err := p.cmd.Start(); err != nil {
		reader.Close()
		return nil, err
	}
	go p.copy(out)
	go p.wait()
	return p, nil
}

func (p *process) copy(out io.Writer) {
	defer close(p.copied)
	_, _ = io.Copy(out, p.out)
}

func (p *process) wait() {
	defer close(p.exited)
	p.err = p.cmd.Wait()
}

const (
	// look is how often a group is looked at: the system does not tell when it ends.
	look = 10 * time.Millisecond
	// killGrace is how long the system may take to end what was killed.
	killGrace = 2 * time.Second
)

// end ends the whole group: it is asked, and killed when ctx ends before it has gone.
// Then it waits for the last lines.
func (p *process) end(ctx context.Context) {
	terminate(p.cmd)
	if !p.gone(ctx) {
		kill(p.cmd)
		ctx, cancel := context.WithTimeout(context.Background(), killGrace)
		defer cancel()
		p.gone(ctx)
	}
	// What left the group may hold the pipe open for ever.
	_ = p.out.SetReadDeadline(time.Now().Add(time.Second))
	<-p.copied
	p.out.Close()
}

// gone waits until nothing of the group is left, or ctx ends.
func (p *process) gone(ctx context.Context) bool {
	select {
	case <-p.exited:
	case <-ctx.Done():
		return false
	}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for alive(p.cmd) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
