// Command peers measures the in-process call of other actor frameworks for Go, which the
// bench prints beside Francis's: an actor is asked for its number, and each reply is
// checked. It is a module of its own, so that nobody inherits its dependencies.
//
//	go -C bench/peers run . -peer goakt-grain -actors 1000 -callers 64 -for 2s
//
// It prints a JSON object, the result as package load has it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/francis-actors/francis/bench/internal/load"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// peer is a system of actors. Actor i keeps a number.
type peer interface {
	// add calls an actor, which adds to its number and answers with it.
	add(ctx context.Context, actor int, in int32) (int32, error)
	stop(ctx context.Context) error
}

// start makes a peer that is ready to be called, with a number of actors that exist.
type start func(ctx context.Context, actors int) (peer, error)

// actorID is the name of an actor, the same as in the bench.
func actorID(i int) string { return "actor-" + strconv.Itoa(i) }

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	set := flag.NewFlagSet("peers", flag.ContinueOnError)
	name := set.String("peer", "", "which one: goakt-grain, goakt-actor or protoactor")
	actors := set.Int("actors", 1, "how many actors are called")
	callers := set.Int("callers", 1, "how many call at the same time")
	span := set.Duration("for", 2*time.Second, "how long the measurement takes")
	if err := set.Parse(args); err != nil {
		return err
	}
	begin, known := map[string]start{"goakt-grain": startGrains, "goakt-actor": startPlain, "protoactor": startProtoActor}[*name]
	if !known {
		return fmt.Errorf("there is no peer %q", *name)
	}
	p, err := begin(ctx, *actors)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop(ctx)) }()
	result, err := measure(ctx, p, *actors, load.Work{Callers: *callers, Span: *span})
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// measure gives each actor a number of its own, and measures calls that must answer with
// it.
func measure(ctx context.Context, p peer, actors int, w load.Work) (load.Result, error) {
	for i := range actors {
		if _, err := p.add(ctx, i, int32(i+1)); err != nil {
			return load.Result{}, fmt.Errorf("seed actor %d: %w", i, err)
		}
	}
	w.Op = func(caller, n int) error {
		i := (n*w.Callers + caller) % actors
		out, err := p.add(ctx, i, 0)
		if err == nil && out != int32(i+1) {
			err = fmt.Errorf("actor %d answers %d, want %d", i, out, i+1)
		}
		return err
	}
	return w.Measure(ctx)
}
