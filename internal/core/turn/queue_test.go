package turn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const limit = 1000

func ticket(name string) *Ticket[string] {
	mode := Shared
	if strings.HasPrefix(name, "t") {
		mode = Alone
	}
	return &Ticket[string]{Holder: name, Mode: mode}
}

// script runs steps against a queue and lists who is admitted by each. Steps are
// "+t1" (arrive; t is a turn, v a view), "-t1" (leave), "x t1" (abandon), "open
// t1", "spoil".
func script(t *testing.T, steps ...string) []string {
	t.Helper()
	var q Queue[string]
	tickets := map[string]*Ticket[string]{}
	var trace []string
	for _, step := range steps {
		var admitted []string
		name := step[1:]
		switch {
		case step[0] == '+':
			tickets[name] = ticket(name)
			if q.Arrive(tickets[name], limit) == Admitted {
				admitted = append(admitted, name)
			}
		case step[0] == '-':
			q.Leave(tickets[name])
		case step[0] == 'x':
			q.Abandon(tickets[name[1:]])
		case step == "spoil":
			q.Spoil()
		default:
			q.Opened(tickets[strings.TrimPrefix(step, "open ")])
		}
		for next := q.Next(); next != nil; next = q.Next() {
			admitted = append(admitted, next.Holder)
		}
		trace = append(trace, strings.Join(admitted, ","))
	}
	return trace
}

func TestQueue(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ steps, admitted []string }{
		"turns run alone and in order": {
			[]string{"+t1", "open t1", "+t2", "+t3", "-t1", "-t2"},
			[]string{"t1", "", "", "", "t2", "t3"},
		},
		"views run beside each other": {
			[]string{"+v1", "open v1", "+v2", "+v3"},
			[]string{"v1", "", "v2", "v3"},
		},
		"a cold queue admits one, even a view, until it has opened": {
			[]string{"+v1", "+v2", "open v1"},
			[]string{"v1", "", "v2"},
		},
		"a view does not overtake a turn": {
			[]string{"+v1", "open v1", "+t1", "+v2", "-v1", "-t1"},
			[]string{"v1", "", "", "", "t1", "v2"},
		},
		"views behind a turn are admitted together": {
			[]string{"+t1", "open t1", "+v1", "+v2", "+t2", "-t1", "-v1", "-v2"},
			[]string{"t1", "", "", "", "", "v1,v2", "", "t2"},
		},
		"abandoning the turn at the head lets the views behind it run": {
			[]string{"+v1", "open v1", "+t1", "+v2", "x t1"},
			[]string{"v1", "", "", "", "v2"},
		},
		"a failed opening lets the next one try": {
			[]string{"+t1", "+v1", "+v2", "-t1", "-v1"},
			[]string{"t1", "", "", "v1", "v2"},
		},
		"a spoiled actor is opened anew after all have left": {
			[]string{"+v1", "open v1", "+v2", "spoil", "+v3", "-v1", "-v2", "+v4"},
			[]string{"v1", "", "v2", "", "", "", "v3", ""},
		},
		"an idle actor that is spoiled is opened anew": {
			[]string{"+t1", "open t1", "-t1", "spoil", "+v1", "+v2", "open v1"},
			[]string{"t1", "", "", "", "v1", "", "v2"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := script(t, test.steps...); !slices.Equal(got, test.admitted) {
				t.Errorf("admitted %q, want %q", got, test.admitted)
			}
		})
	}
}

func TestQueueRefusesBeyondLimit(t *testing.T) {
	t.Parallel()
	var q Queue[string]
	got := []Verdict{}
	for i := range 4 {
		got = append(got, q.Arrive(ticket(fmt.Sprintf("t%d", i)), 2))
	}
	if want := []Verdict{Admitted, Queued, Queued, Refused}; !slices.Equal(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
}

func TestOpensTellsWhoLoads(t *testing.T) {
	t.Parallel()
	var q Queue[string]
	first, second := ticket("v1"), ticket("v2")
	q.Arrive(first, limit)
	q.Opened(first)
	q.Arrive(second, limit)
	if !first.Opens() || second.Opens() {
		t.Errorf("opens: first %v, second %v; want true, false", first.Opens(), second.Opens())
	}
}

// TestQueueSimulation performs random steps and checks after each what a queue
// promises.
func TestQueueSimulation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		s := &simulation{rand: rand.New(rand.NewPCG(seed, 0))}
		for range 300 {
			s.step()
			if err := s.check(); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(s.trace, " "))
			}
		}
	}
}

// simulation is a queue and a model of it: who runs and who waits.
type simulation struct {
	rand    *rand.Rand
	queue   Queue[string]
	running []*Ticket[string]
	waiting []*Ticket[string]
	// loaded is whether the actor is in memory: opened, and not spoiled since.
	loaded  bool
	spoiled bool
	count   int
	trace   []string
}

func (s *simulation) step() {
	switch dice := s.rand.IntN(10); {
	case dice < 5:
		s.arrive()
	case dice < 8 && len(s.running) > 0:
		s.leave()
	case dice == 8 && len(s.waiting) > 0:
		s.abandon()
	case dice == 9 && s.loaded && s.rand.IntN(4) == 0:
		s.trace = append(s.trace, "spoil")
		s.queue.Spoil()
		s.loaded, s.spoiled = false, len(s.running) > 0
	}
	s.open()
	s.drain()
}

func (s *simulation) arrive() {
	s.count++
	t := ticket(fmt.Sprintf("%c%d", "tv"[s.rand.IntN(2)], s.count))
	s.trace = append(s.trace, "+"+t.Holder)
	if s.queue.Arrive(t, limit) == Admitted {
		s.running = append(s.running, t)
		return
	}
	s.waiting = append(s.waiting, t)
}

func (s *simulation) leave() {
	i := s.rand.IntN(len(s.running))
	t := s.running[i]
	s.trace = append(s.trace, "-"+t.Holder)
	s.queue.Leave(t)
	s.running = slices.Delete(s.running, i, i+1)
	if len(s.running) == 0 {
		s.spoiled = false
	}
}

func (s *simulation) abandon() {
	i := s.rand.IntN(len(s.waiting))
	s.trace = append(s.trace, "x"+s.waiting[i].Holder)
	s.queue.Abandon(s.waiting[i])
	s.waiting = slices.Delete(s.waiting, i, i+1)
}

// open lets a ticket that opens succeed, or fail and leave.
func (s *simulation) open() {
	if s.loaded || s.spoiled || len(s.running) != 1 || !s.running[0].Opens() {
		return
	}
	if s.rand.IntN(3) == 0 {
		s.leave()
		return
	}
	s.trace = append(s.trace, "open "+s.running[0].Holder)
	s.queue.Opened(s.running[0])
	s.loaded = true
}

func (s *simulation) drain() {
	for t := s.queue.Next(); t != nil; t = s.queue.Next() {
		s.running = append(s.running, t)
		s.waiting = slices.DeleteFunc(s.waiting, func(w *Ticket[string]) bool { return w == t })
	}
}

func (s *simulation) check() error {
	turns := 0
	for _, t := range s.running {
		if t.Mode == Alone {
			turns++
		}
	}
	switch {
	case turns > 0 && len(s.running) > 1:
		return fmt.Errorf("a turn runs beside %d others", len(s.running)-1)
	case len(s.running) > 1 && !s.loaded && !s.spoiled:
		return fmt.Errorf("%d run while the actor is not loaded", len(s.running))
	case len(s.running) == 0 && len(s.waiting) > 0:
		return fmt.Errorf("%d wait and nobody runs", len(s.waiting))
	case s.queue.Waiting() != len(s.waiting):
		return fmt.Errorf("the queue says %d wait, the model says %d", s.queue.Waiting(), len(s.waiting))
	case !slices.Equal(s.queue.Holders(), holders(s.running, s.waiting)):
		return fmt.Errorf("the queue holds %v, the model %v", s.queue.Holders(), holders(s.running, s.waiting))
	case len(s.waiting) > 0 && len(s.running) > 0 && s.loaded && turns == 0 && s.waiting[0].Mode == Shared:
		return fmt.Errorf("view %s waits though only views run", s.waiting[0].Holder)
	}
	return nil
}

func holders(lists ...[]*Ticket[string]) []string {
	names := []string{}
	for _, list := range lists {
		for _, t := range list {
			names = append(names, t.Holder)
		}
	}
	return names
}
