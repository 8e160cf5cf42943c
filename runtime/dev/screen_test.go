package dev

import (
	"bytes"
	"strings"
	"testing"
)

func newTestScreen(out *bytes.Buffer, colour bool) *screen {
	return newScreen(Config{Out: out, Colour: colour}, []Worker{{Name: "worker-1"}, {Name: "worker-2"}})
}

func TestLinesAreKeptTogether(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	screen := newTestScreen(&out, false)
	one, two := screen.lines(1), screen.lines(2)
	for _, part := range []string{"a long ", "line\r\nand ", "half"} {
		if n, err := one.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		_, _ = two.Write([]byte("short\n"))
	}
	one.flush()
	one.flush()
	want := "worker-2 | short\nworker-1 | a long line\nworker-2 | short\nworker-2 | short\nworker-1 | and half\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestAnEndlessLineIsCut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	line := newTestScreen(&out, false).lines(0)
	_, _ = line.Write(bytes.Repeat([]byte("x"), maxLine+1))
	if out.Len() < maxLine || len(line.rest) != 0 {
		t.Errorf("%d bytes are written, %d are kept", out.Len(), len(line.rest))
	}
}

func TestNamesAreColoured(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	screen := newTestScreen(&out, true)
	screen.lines(0).say("hello")
	screen.say("bye")
	want := "\x1b[36mruntime  | \x1b[0m-- hello\n\x1b[33mdev      | \x1b[0m-- bye\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}

func TestPortsThatAreTakenAreSkipped(t *testing.T) {
	t.Parallel()
	taken, err := newPorts("127.0.0.1:28081")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.close()
	first, err := taken.http()
	if err != nil {
		t.Fatal(err)
	}
	others, err := newPorts(first)
	if err != nil {
		t.Fatal(err)
	}
	defer others.close()
	if next, err := others.http(); err != nil || next == first || !strings.HasPrefix(next, "127.0.0.1:28") {
		t.Errorf("the next port after %s is %s, %v", first, next, err)
	}
	end, err := newPorts("127.0.0.1:65535")
	if err != nil {
		t.Fatal(err)
	}
	defer end.close()
	_, _ = end.http()
	if _, err := end.http(); err == nil || !strings.Contains(err.Error(), "choose another start with -http") {
		t.Errorf("beyond the last port: %v", err)
	}
}
