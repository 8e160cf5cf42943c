// Command callers is a crowd: it calls the actors on which faults are tried out, over many
// connections, and says what it saw. It is a process of its own, because a crowd needs as
// many file descriptors as whom it calls.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/chaos/gen/chaos/v1/chaosv1francis"
	"github.com/francis-actors/francis/sdk"
)

// timeout is the deadline of each call.
const timeout = 30 * time.Second

// crowd is who calls whom, and how.
type crowd struct {
	gateway, actor               string
	callers, connections, actors int
	hold, think, lasts           time.Duration
	retry, http1                 bool

	mu       sync.Mutex
	seen     report
	underWay int
	waits    []time.Duration
}

// report is what a crowd saw, as JSON on the standard output. Waits are what the calls
// that succeeded took beyond the time of their turn.
type report struct {
	OK int `json:"ok"`
	// Refused were told when to come again, Failed something else.
	Refused int      `json:"refused"`
	Failed  int      `json:"failed"`
	Errors  []string `json:"errors"`
	// InFlight is how many calls were under way at once, at most.
	InFlight int           `json:"inFlight"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
}

func main() {
	var c crowd
	flag.StringVar(&c.gateway, "gateway", "", "whom to call, host:port")
	flag.StringVar(&c.actor, "actor", "crowd", "what the ids of the actors begin with")
	flag.IntVar(&c.callers, "callers", 1, "how many call at once")
	flag.IntVar(&c.connections, "connections", 1, "over how many connections")
	flag.IntVar(&c.actors, "actors", 1, "how many actors they call")
	flag.DurationVar(&c.hold, "hold", 0, "how long a turn lasts; 0 calls a view")
	flag.DurationVar(&c.think, "think", 0, "how long a caller rests after a call")
	flag.DurationVar(&c.lasts, "lasts", time.Second, "for how long they begin calls")
	flag.BoolVar(&c.retry, "retry", false, "let the proxies send again what was refused")
	flag.BoolVar(&c.http1, "http1", false, "over HTTP/1.1, for which each caller needs a connection")
	flag.Parse()
	c.run()
	if err := json.NewEncoder(os.Stdout).Encode(c.result()); err != nil {
		fmt.Fprintln(os.Stderr, "callers:", err)
		os.Exit(1)
	}
}

// run lets everybody call until the time is over.
func (c *crowd) run() {
	var protocols http.Protocols
	protocols.SetHTTP1(c.http1)
	protocols.SetUnencryptedHTTP2(!c.http1)
	var calling sync.WaitGroup
	ends := time.Now().Add(c.lasts)
	for n := range c.connections {
		transport := &http.Transport{Protocols: &protocols, MaxIdleConnsPerHost: c.callers}
		defer transport.CloseIdleConnections()
		caller := sdk.Gateway(&http.Client{Transport: transport}, "http://"+c.gateway)
		for i := n; i < c.callers; i += c.connections {
			calling.Go(func() {
				time.Sleep(rand.N(c.hold + c.think + 1)) //nolint:forbidigo // a crowd does not march in step
				for time.Now().Before(ends) {
					c.call(chaosv1francis.NewRegisterActorProxy(caller, fmt.Sprint(c.actor, i%c.actors)))
					time.Sleep(c.think) //nolint:forbidigo // as it was told
				}
			})
		}
	}
	calling.Wait()
}

// call makes a call and notes how it ended.
func (c *crowd) call(proxy chaosv1francis.RegisterActorProxy) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	opts := []sdk.CallOption{sdk.WithoutRetries()}
	if c.retry {
		opts = nil
	}
	c.begin()
	began := time.Now()
	var err error
	if c.hold == 0 {
		_, err = proxy.Read(ctx, &chaosv1.ReadRequest{}, opts...)
	} else {
		_, err = proxy.Add(ctx, &chaosv1.AddRequest{In: 1, Pause: durationpb.New(c.hold)}, opts...)
	}
	c.end(time.Since(began)-c.hold, err)
}

func (c *crowd) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay++
	c.seen.InFlight = max(c.seen.InFlight, c.underWay)
}

func (c *crowd) end(wait time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay--
	switch {
	case err == nil:
		c.seen.OK++
		c.waits = append(c.waits, wait)
		return
	case connect.CodeOf(err) == connect.CodeResourceExhausted && sdk.RetryAfter(err) > 0:
		c.seen.Refused++
	default:
		c.seen.Failed++
	}
	if len(c.seen.Errors) < 5 {
		c.seen.Errors = append(c.seen.Errors, err.Error())
	}
}

func (c *crowd) result() report {
	slices.Sort(c.waits)
	if n := len(c.waits); n > 0 {
		c.seen.P50, c.seen.P99 = c.waits[n/2], c.waits[n*99/100]
	}
	return c.seen
}
