package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

var errFull = errors.New("no space left on device")

// full is where nothing can be written to.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// What cannot be said has failed, also where it is said by the library that reads the
// command line.
func TestOutputThatFails(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--help", "backup --help", "--version", "version", "gen-key"} {
		var said strings.Builder
		if code := run(t.Context(), append([]string{"runtime"}, strings.Fields(args)...), full{}, &said); code != exitFailed || !strings.Contains(said.String(), errFull.Error()) {
			t.Errorf("runtime %s ends with %d and says %q", args, code, said.String())
		}
		if code := run(t.Context(), append([]string{"runtime"}, strings.Fields(args)...), io.Discard, &said); code != exitOK {
			t.Errorf("runtime %s ends with %d where it can be read", args, code)
		}
	}
}
