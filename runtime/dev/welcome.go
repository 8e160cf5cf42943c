package dev

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/deadline"
)

const (
	// glance is how often the runtime is asked who has come.
	glance = 100 * time.Millisecond
	// patience is how long workers may take before somebody is told whom we wait for.
	patience = 30 * time.Second
)

// welcome waits until all workers have announced what they serve, and prints how to
// call it.
func (c *cluster) welcome(ctx context.Context) {
	late := time.Now().Add(patience)
	for {
		missing := c.missing(ctx)
		if len(missing) == 0 {
			break
		}
		if time.Now().After(late) {
			c.screen.say("still waiting for %s: a worker joins with remote.FromEnv()", strings.Join(missing, ", "))
			late = time.Now().Add(patience)
		}
		if !deadline.Sleep(ctx, glance) {
			return
		}
	}
	types, err := c.runtime.Types(ctx)
	if err != nil {
		return
	}
	c.screen.print(c.greeting(types))
}

// missing returns the names of the workers that have not announced themselves.
func (c *cluster) missing(ctx context.Context) (names []string) {
	workers, err := c.runtime.Workers(ctx)
	for _, planned := range c.plan {
		at := func(w *runtimev1.Worker) bool { return w.GetAddress() == planned.Address }
		if err != nil || !slices.ContainsFunc(workers, at) {
			names = append(names, planned.Name)
		}
	}
	return names
}

// greeting tells what runs and how to call it.
func (c *cluster) greeting(types []*runtimev1.ActorType) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\nReady. The runtime is %s, its data is in %s.\n", c.home.config.DialAddress(), c.home.describe())
	for _, worker := range c.plan {
		fmt.Fprintf(&text, "%s serves HTTP on http://%s\n", worker.Name, worker.HTTPAddress)
	}
	var calls []string
	for _, typ := range types {
		calls = append(calls, c.calls(typ)...)
	}
	if len(calls) > 0 {
		fmt.Fprintf(&text, "\nTry:\n  %s\n", strings.Join(calls, "\n  "))
	}
	return text.String() + "\nPress Ctrl-C to end.\n\n"
}

// calls returns a command for each method of a type. They take turns among the
// workers, as any worker answers any call.
func (c *cluster) calls(typ *runtimev1.ActorType) []string {
	methods, err := methodsOf(typ)
	if err != nil {
		return []string{fmt.Sprintf("# %s: %v", typ.GetName(), err)}
	}
	commands := make([]string, len(methods))
	for i, method := range methods {
		commands[i] = method.curl(c.plan[i%len(c.plan)].HTTPAddress)
	}
	return commands
}
