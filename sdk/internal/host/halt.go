package host

import (
	"errors"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/francis-actors/francis/internal/fault"
)

// errAbsent says that the actor has no activation on this worker, which may not be the one
// to say so.
var errAbsent = errors.New("the actor is not in memory")

// absent is what a call is told that is only for an actor in memory, and found none. The
// actor's owner alone knows that.
func (r *run) absent() error {
	if err := r.home(); err != nil {
		return err
	}
	return fault.NotActive(r.name())
}

// absence tells it to a call of another worker.
type absence struct{ run *run }

func (a absence) execute() job {
	a.run.fail(a.run.absent())
	return nil
}

// home waits while the worker's lease has lapsed, and fails with errMoved unless the actor
// is this worker's.
func (r *run) home() error {
	cluster := r.host.cfg.Cluster
	if !r.active() {
		if err := r.wait(r.host.pass); err != nil {
			return err
		}
	}
	if cluster.Entry(r.typ, r.shard).GetWorker() != cluster.Worker() {
		return errMoved
	}
	return nil
}

// halt ends the activation of the actor, if it has one.
func (r *run) halt() (answer, error) {
	over, parked, err := r.halting()
	if err == nil {
		err = r.halted(over, parked)
	}
	return answer{reply: &emptypb.Empty{}}, err
}

// halting lets the activation end after the calls that wait already, among which it has its
// place: a busy actor refuses it like a call. It returns what is closed when the activation
// has ended, nil where there is none; or, while the shard is handed over, what to wait for
// instead.
func (r *run) halting() (over, parked <-chan struct{}, err error) {
	if r.fromView {
		return nil, nil, fault.ViewHalts(r.callerName())
	}
	if r.table == nil { // registered since: nobody has called it here
		return nil, nil, nil
	}
	r.onlyActive = true
	slot, parked, err := r.table.slot(r)
	if slot == nil {
		return nil, parked, err
	}
	over, ok := slot.endSoon(slot.table.typ.MaxPending)
	if !ok {
		return nil, nil, slot.full()
	}
	return over, nil, nil
}

// halted waits until what halting has begun is done.
func (r *run) halted(over, parked <-chan struct{}) error {
	if parked != nil {
		return r.park(parked)
	}
	if over != nil {
		if err := r.until(over); err != nil {
			return err
		}
	}
	return r.home()
}

// serveHalt halts the actor for another worker. As with calls, its place in the queue is
// taken before the next one is looked at.
func (r *run) serveHalt() {
	over, parked, err := r.halting()
	if err != nil {
		r.fail(err)
		return
	}
	go func() {
		if err := r.halted(over, parked); err != nil {
			r.fail(err)
			return
		}
		r.finish()
	}()
}

// Halt lets the activation end after the turn: nobody else is admitted to it.
func (r *run) Halt() {
	r.slot.mu.Lock()
	defer r.slot.mu.Unlock()
	if !r.over.Load() {
		r.slot.queue.Spoil()
	}
}
