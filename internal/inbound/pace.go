package inbound

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/francis-actors/francis/internal/fault"
)

// portion is what a client has to send or take in the time of a pace, in bytes. What is
// smaller has to come to its end in that time.
const portion = 64 << 10

// Pace is how fast clients have to be: a client that sends or takes a byte from time to
// time would hold its request for ever. The time that the handler takes in between does
// not count.
type Pace struct {
	// Body is how long each 64 KiB of a request may take to arrive, and the rest of it.
	Body time.Duration
	// Answer is how long the client may take for each 64 KiB of the answer, and the rest of
	// it. Over HTTP/2, where it does not open its window.
	Answer time.Duration
}

// Usual is the pace of every port.
var Usual = Pace{Body: 30 * time.Second, Answer: 10 * time.Second}

// Keep returns a handler that gives up the requests of clients that are slower. Reading
// the body fails then with a coded error, and writing the answer with that of the
// connection. A stream is given up when it is silent for the time of Body: one that may
// be is served without a pace.
func (p Pace) Keep(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		a := &answer{ResponseWriter: w, control: control, each: p.Answer}
		defer a.end()
		if r.Body != nil && r.Body != http.NoBody {
			b := newBody(r.Body, control, p.Body)
			if r.ProtoMajor == 1 {
				b.header = w.Header()
			}
			defer b.end()
			paced := *r
			paced.Body, r = b, &paced
		}
		next.ServeHTTP(a, r)
	})
}

// body is the body of a request, as its handler reads it.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	each    time.Duration
	// header is that of the answer over HTTP/1.1: it says that the connection ends when the
	// body is given up. net/http by itself may take the rest for the next request, where
	// somebody else has replaced the body as well.
	header http.Header

	mu    sync.Mutex
	timer *time.Timer
	// arrived is how much has, since the timer was set.
	arrived int
	// over is set at the end of the body, and late when it is given up.
	over, late bool
}

func newBody(of io.ReadCloser, control *http.ResponseController, each time.Duration) *body {
	b := &body{ReadCloser: of, control: control, each: each}
	b.mu.Lock() // the timer may fire before it has its name
	defer b.mu.Unlock()
	b.timer = time.AfterFunc(each, b.look)
	return b
}

// Read is called by one goroutine at a time.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived += n
	if err != nil {
		b.over = true
		b.timer.Stop()
		if b.late {
			if b.header != nil {
				b.header.Set("Connection", "close")
			}
			err = fault.TooSlow(b.each)
		}
	}
	return n, err
}

// look gives the body up if too little has arrived.
func (b *body) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
	case b.arrived >= portion:
		b.arrived = 0
		b.timer.Reset(b.each)
	default:
		b.late = true
		_ = b.control.SetReadDeadline(time.Unix(1, 0)) // what cannot be timed is no connection
	}
}

// end says that the handler has returned. Over HTTP/1.1 the server reads the rest of a
// body before it answers.
func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.timer.Stop()
	if !b.over {
		b.over = true
		_ = b.control.SetReadDeadline(time.Now().Add(b.each))
	}
}

// answer is the answer to a request, as its handler writes it.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	each    time.Duration
	// timed is true while a deadline is set.
	timed bool
}

// Write writes a portion at a time.
func (a *answer) Write(p []byte) (int, error) {
	written := 0
	for {
		part := p[written:min(len(p), written+portion)]
		a.hurry()
		n, err := a.ResponseWriter.Write(part)
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// FlushError sends what was written. After it, the stream may be silent.
func (a *answer) FlushError() error {
	a.hurry()
	err := a.control.Flush()
	a.timed = false
	_ = a.control.SetWriteDeadline(time.Time{})
	return err
}

// Flush is FlushError, for who asks for an http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// hurry sets the deadline of what is written next.
func (a *answer) hurry() {
	a.timed = true
	_ = a.control.SetWriteDeadline(time.Now().Add(a.each))
}

// end says that the handler has returned: the server sends the rest. It takes the
// deadline back by itself.
func (a *answer) end() {
	if !a.timed {
		a.hurry()
	}
}
