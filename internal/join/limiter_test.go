package join

import (
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSourceOf(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"10.1.2.3:99":             "10.1.2.3/32",
		"[::ffff:10.1.2.3]:99":    "10.1.2.3/32", // breaks without Unmap: a second account for one address
		"[2001:db8:1:2:3::4]:99":  "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:99":       "fe80::/64",
		"pipe":                    "invalid Prefix",
		"host:1":                  "invalid Prefix",
		"":                        "invalid Prefix",
	} {
		if got := sourceOf(remote).String(); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}

func TestLimiterCountsFailuresInAWindow(t *testing.T) {
	t.Parallel()
	limiter, now := newLimiter(), time.Unix(1_000_000, 0)
	from, other := sourceOf("10.0.0.1:1"), sourceOf("10.0.0.2:1")
	for i := range maxFailures {
		if limiter.fail(from, now.Add(time.Duration(i)*time.Second)) {
			t.Fatalf("failure %d is one too many", i+1)
		}
	}
	steps := []struct {
		from source
		at   time.Duration
		want bool
	}{
		{from, 5 * time.Second, true},
		{other, 5 * time.Second, false},
		{from, 59 * time.Second, true},  // breaks when failures in excess count: the window would not slide
		{from, 60 * time.Second, false}, // the first one is a minute old
		{from, 60 * time.Second, true},
		{from, 61 * time.Second, false},
	}
	for i, step := range steps {
		if got := limiter.fail(step.from, now.Add(step.at)); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

func TestLimiterLines(t *testing.T) {
	t.Parallel()
	limiter, now, from := newLimiter(), time.Unix(1_000_000, 0), sourceOf("10.0.0.1:1")
	for i, step := range []struct {
		at     time.Duration
		silent int
		ok     bool
	}{{0, 0, true}, {1, 0, false}, {time.Second - 1, 0, false}, {time.Second, 2, true}, {time.Second + 1, 0, false}, {3 * time.Second, 1, true}} {
		if silent, ok := limiter.line(from, now.Add(step.at)); silent != step.silent || ok != step.ok {
			t.Errorf("step %d: %d, %v", i, silent, ok)
		}
	}
}

// Many sources cannot fill the memory or burn the processor (each newcomer would walk
// over all accounts without forgetEvery), and those beyond the limit are limited still.
func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	limiter, now := newLimiter(), time.Unix(1_000_000, 0)
	for i := range 3 * maxSources {
		limiter.fail(sourceOf(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)), now)
	}
	if len(limiter.accounts) > maxSources+1 {
		t.Errorf("%d accounts", len(limiter.accounts))
	}
	if !limiter.fail(sourceOf("11.0.0.1:1"), now) {
		t.Error("a new source beyond the limit is free")
	}
	if limiter.fail(sourceOf("11.0.0.1:1"), now.Add(failureWindow)) || len(limiter.accounts) > 2 {
		t.Errorf("old accounts stay: %d", len(limiter.accounts))
	}
}

// fakeConn is a connection that only knows where it comes from.
type fakeConn struct {
	net.Conn
	from   string
	closed atomic.Bool
}

func (f *fakeConn) RemoteAddr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", f.from)
	return addr
}

func (f *fakeConn) Close() error {
	f.closed.Store(true)
	return nil
}

func TestRosterTakesThePlaceOfTheGreediest(t *testing.T) {
	t.Parallel()
	// One letter is one source; capitals have proved themselves.
	tests := map[string]struct{ arrivals, left string }{
		"room":                    {"abc", "abc"},
		"oldest of equals":        {"abcde", "bcde"},
		"greediest":               {"abbbc", "abbc"},
		"own place":               {"abccc", "abcc"},
		"greediest, two":          {"abbbcd", "abcd"},
		"kept":                    {"Abcde", "Acde"},
		"greediest kept":          {"AAbcd", "AAcd"},
		"all kept":                {"ABCDe", "ABCD"},
		"a flood from one source": {"axxxxxxxxxxxx", "axxx"}, // breaks with plain first-in, first-out
		"a flood and a newcomer":  {"xxxxxxxxxa", "xxxa"},
	}
	for name, test := range tests {
		roster := newRoster(4)
		for i, letter := range test.arrivals {
			p := newPlace(&fakeConn{from: "10.0.0." + strconv.Itoa(int(letter|0x20)) + ":" + strconv.Itoa(1000+i)})
			p.kept.Store(letter < 'a')
			p.closed = func() { roster.leave(p) }
			roster.enter(p)
		}
		if got := letters(roster); got != test.left {
			t.Errorf("%s: %s, want %s", name, got, test.left)
		}
	}
}

func letters(r *roster) string {
	var text []byte
	for _, p := range r.places {
		letter := p.source.Addr().As4()[3]
		if p.kept.Load() {
			letter -= 'a' - 'A'
		}
		text = append(text, letter)
	}
	return string(text)
}

func TestPlaceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn, ended := &fakeConn{from: "10.0.0.1:1"}, 0
		p := newPlace(conn)
		p.closeAfter(joinerLife, func() { ended++ })
		time.Sleep(joinerLife - 1)
		if conn.closed.Load() {
			t.Error("closed too early")
		}
		time.Sleep(1)
		synctest.Wait()
		if !conn.closed.Load() || ended != 1 {
			t.Errorf("closed %v, ended %d times", conn.closed.Load(), ended)
		}
		_ = p.Close()
		if ended != 1 {
			t.Errorf("ended %d times", ended)
		}
	})
}
