// Package turn decides who may use an actor, and when. It is pure: no
// goroutines, locks, clocks or IO; the host calls it under the lock of one
// activation and performs what it answers.
//
// A [Queue] is first come, first served. Turns run alone; views that follow one
// another run beside each other, and a view never overtakes a turn, so a stream
// of views cannot starve one. A queue starts cold: it admits one ticket alone,
// whatever its mode, so that its holder can load the actor, and goes on after
// [Queue.Opened].
package turn

// Mode says how a ticket shares the actor.
type Mode uint8

const (
	// Alone is the mode of a turn: nobody else uses the actor meanwhile.
	Alone Mode = iota
	// Shared is the mode of a view: other views may run beside it.
	Shared
)

// Ticket is a place in a queue, waiting or running. Its holder embeds it, so that
// neither allocates; one ticket is in one queue at a time.
type Ticket[H any] struct {
	Holder H
	Mode   Mode

	waiting    bool
	opens      bool
	prev, next *Ticket[H]
}

// Opens reports whether the admitted ticket found the queue cold: its holder
// loads the actor and says [Queue.Opened] before it uses it.
func (t *Ticket[H]) Opens() bool { return t.opens }

// Verdict is what a queue says to an arriving ticket.
type Verdict uint8

const (
	// Admitted means that the holder uses the actor from now on and must leave.
	Admitted Verdict = iota
	// Queued means that [Queue.Next] will admit the ticket later.
	Queued
	// Refused means that too many tickets wait already.
	Refused
)

// Queue admits tickets to one actor. The zero value is a cold, empty queue.
type Queue[H any] struct {
	waiting, running list[H]
	// waits is how many wait.
	waits int32
	// alone is true while the only running ticket excludes all others.
	alone bool
	// open is true from Opened on: the actor is in memory.
	open bool
	// spoiled is true from Spoil until the last running ticket has left.
	spoiled bool
}

// Arrive asks for admission of t. At most limit tickets wait; the next one is
// refused.
func (q *Queue[H]) Arrive(t *Ticket[H], limit int) Verdict {
	if q.waiting.empty() && q.admissible(t.Mode) {
		q.admit(t)
		return Admitted
	}
	if int(q.waits) >= limit {
		return Refused
	}
	t.waiting = true
	q.waiting.push(t)
	q.waits++
	return Queued
}

// Next admits the first waiting ticket if it may run now, and returns nil
// otherwise. Call it until it returns nil after each Leave, Abandon and Opened.
func (q *Queue[H]) Next() *Ticket[H] {
	t := q.waiting.head
	if t == nil || !q.admissible(t.Mode) {
		return nil
	}
	q.withdraw(t)
	q.admit(t)
	return t
}

// Leave ends the use of the actor by an admitted ticket.
func (q *Queue[H]) Leave(t *Ticket[H]) {
	q.running.remove(t)
	q.alone = false
	if q.running.empty() && q.spoiled {
		q.open, q.spoiled = false, false
	}
}

// Abandon takes t out of the queue and reports whether it was still waiting. A
// ticket that was admitted meanwhile stays admitted.
func (q *Queue[H]) Abandon(t *Ticket[H]) bool {
	if !t.waiting {
		return false
	}
	q.withdraw(t)
	return true
}

// Opened says that t, which opens, has loaded the actor. A view goes on as one of
// several.
func (q *Queue[H]) Opened(t *Ticket[H]) {
	q.open = true
	q.alone = t.Mode == Alone
}

// Spoil says that the actor in memory can no longer be used. Nobody else is
// admitted until the running tickets have left; the queue is cold then.
func (q *Queue[H]) Spoil() {
	if q.running.empty() {
		q.open = false
		return
	}
	q.spoiled = true
}

// Open reports whether the actor is in memory and sound.
func (q *Queue[H]) Open() bool { return q.open && !q.spoiled }

// Cold reports whether the actor is not in memory, or about to be loaded by the running
// ticket.
func (q *Queue[H]) Cold() bool { return !q.open }

// Idle reports whether no ticket runs or waits.
func (q *Queue[H]) Idle() bool { return q.running.empty() && q.waiting.empty() }

// Waiting is the number of tickets that wait.
func (q *Queue[H]) Waiting() int { return int(q.waits) }

// Holders lists who runs and who waits, in order of arrival.
func (q *Queue[H]) Holders() []H { return q.waiting.append(q.Running()) }

// Running lists who runs.
func (q *Queue[H]) Running() []H { return q.running.append(nil) }

func (q *Queue[H]) admissible(m Mode) bool {
	if q.running.empty() {
		return true
	}
	return m == Shared && q.open && !q.alone && !q.spoiled
}

// withdraw takes t out of those who wait.
func (q *Queue[H]) withdraw(t *Ticket[H]) {
	q.waiting.remove(t)
	q.waits--
	t.waiting = false
}

func (q *Queue[H]) admit(t *Ticket[H]) {
	t.opens = !q.open
	q.alone = t.opens || t.Mode == Alone
	q.running.push(t)
}
