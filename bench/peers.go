package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// peer is the same call in process of another framework.
type peer struct {
	// name is its name for the program of the peers.
	name   string
	actors int
}

// errSkipped is the error of a row that cannot be measured here. It fails nothing, but the
// table says it aloud.
var errSkipped = errors.New("skipped")

// measure lets the program of the peers measure.
func (p peer) measure(ctx context.Context, l *lab, callers int) (result, error) {
	binary, err := l.peers(ctx)
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, binary, //nolint:gosec // the binary that was built here
		"-peer", p.name, "-actors", strconv.Itoa(p.actors), "-callers", strconv.Itoa(callers), "-for", l.cfg.span.String())
	out, err := output(cmd)
	if err != nil {
		return result{}, err
	}
	var res result
	return res, json.Unmarshal(out, &res)
}

// peers is the program of the peers, which is built once. Its module is not ours, and may
// not be had.
func (l *lab) peers(ctx context.Context) (string, error) {
	if l.peersBinary != "" || l.peersErr != nil {
		return l.peersBinary, l.peersErr
	}
	l.peersBinary, l.peersErr = l.buildPeers(ctx)
	return l.peersBinary, l.peersErr
}

func (l *lab) buildPeers(ctx context.Context) (string, error) {
	here, err := output(exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/francis-actors/francis/bench"))
	if err != nil {
		return "", err
	}
	dir := filepath.Join(strings.TrimSpace(string(here)), "peers")
	if _, err := output(exec.CommandContext(ctx, "go", "-C", dir, "list", "-deps", ".")); err != nil { //nolint:gosec // the folder is ours
		return "", fmt.Errorf("%w: the modules of the peers cannot be downloaded: %w", errSkipped, err)
	}
	path := filepath.Join(l.dir, "peers.exe")                                            // the suffix that Windows wants hurts nobody else
	_, err = output(exec.CommandContext(ctx, "go", "-C", dir, "build", "-o", path, ".")) //nolint:gosec // the paths are ours
	return path, err
}

// output is what a command prints; its error is told with what it says of it.
func output(cmd *exec.Cmd) ([]byte, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, bytes.TrimSpace(said.Bytes()))
	}
	return out, nil
}
