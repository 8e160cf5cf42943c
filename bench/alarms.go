package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/francis-actors/francis/bench/internal/load"
	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/deadline"
	"github.com/francis-actors/francis/sdk"
)

const (
	// atOnce is how many alarms are due at once, and overdue how many have waited for a host:
	// the number of the stored actors over this.
	atOnce, overdue = 200, 10
	// glance is how often one looks which alarms are left; where that takes long, one rests so
	// many times as long after it, so that it holds nobody up, but for no longer than longest.
	glance, rests, longest = 5 * time.Millisecond, 20, 50 * time.Millisecond
	// alarmTime bounds the wait for them.
	alarmTime = time.Minute
	// month is when the alarms are due that are not due.
	month = 30 * 24 * time.Hour
)

// alarmID names an actor that has an alarm. Each adds 1, once.
func alarmID(n int) string { return fmt.Sprintf("alarm-%07d", n) }

// alarms are due at once, each of an actor of its own that is not in memory.
type alarms struct {
	// others is how many more are stored, which are due much later: the number of the stored
	// actors over this; 0 is none.
	others int
	// on is where they are kept.
	on storage
}

func (a alarms) embedded(ctx context.Context, l *lab, _ int) (result, error) {
	return a.measure(ctx, l, embedded)
}

func (a alarms) acrossWorkers(ctx context.Context, l *lab, _ int) (result, error) {
	return a.measure(ctx, l, l.acrossWorkers)
}

// measure sets alarms and waits for them, until the span is over.
func (a alarms) measure(ctx context.Context, l *lab, in topology) (result, error) {
	at, err := l.scheduled(ctx, a)
	if err != nil {
		return result{}, err
	}
	first, count := l.alarms, l.cfg.stored/atOnce
	res, err := in(ctx, at, func(caller sdk.Caller, children []process) (result, error) {
		f := firing{place: at, work: work{children: children}}
		for began := time.Now(); l.alarms == first || time.Since(began) < l.cfg.span; {
			due, err := setAlarms(ctx, caller, l.alarms, count)
			l.alarms += count
			if err != nil {
				return result{}, err
			}
			if err := f.watch(ctx, due, count); err != nil {
				return result{}, err
			}
		}
		return f.result(), nil
	})
	return res, errors.Join(err, checkAlarms(ctx, at, first, l.alarms))
}

// setAlarms gives so many actors, from the first one on, an alarm each, and returns when
// they are due.
func setAlarms(ctx context.Context, caller sdk.Caller, first, count int) (time.Time, error) {
	at := time.Now().Add(300*time.Millisecond + time.Duration(count)*200*time.Microsecond).Truncate(time.Microsecond)
	err := callEach(count, func(n int) error {
		proxy := myactorv1francis.NewMyActorProxy(caller, alarmID(first+n))
		return proxy.ScheduleIncrement(ctx, "increment", sdk.At(at), &myactorv1.IncrementRequest{In: 1})
	})
	if err == nil && time.Now().After(at) {
		err = errors.New("it took too long to set the alarms: some are overdue")
	}
	return at, err
}

// overdueAlarms measures alarms that are overdue when a host starts, from that on.
func overdueAlarms(ctx context.Context, l *lab, _ int) (result, error) {
	path, first, count := l.newPath("overdue.db"), l.alarms, l.cfg.stored/overdue
	l.alarms += count
	if err := storeAlarms(ctx, path, count, time.Now(), func(n int) string { return alarmID(first + n) }); err != nil {
		return result{}, err
	}
	began := time.Now()
	res, err := embedded(ctx, path, func(_ sdk.Caller, children []process) (result, error) {
		f := firing{place: path, work: work{children: children}}
		if err := f.watch(ctx, began, count); err != nil {
			return result{}, err
		}
		return f.result(), nil
	})
	return res, errors.Join(err, checkAlarms(ctx, path, first, l.alarms))
}

// firing is what was seen of alarms that come.
type firing struct {
	place place
	work  work

	took time.Duration
	used load.Usage
	// late has of each alarm how long after its time its turn was committed, as far as one
	// looked.
	late []time.Duration
}

// watch waits until so many alarms are gone that are due by a time.
func (f *firing) watch(ctx context.Context, at time.Time, count int) (err error) {
	left, err := openAlarms(f.place, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, left.close()) }()
	if _, err := left.now(ctx); err != nil { // the first look connects
		return err
	}
	runtime.GC()
	if !deadline.Sleep(ctx, time.Until(at)) {
		return ctx.Err()
	}
	before, err := f.work.usage()
	if err != nil {
		return err
	}
	for gone, took := 0, time.Duration(0); gone < count; {
		if !deadline.Sleep(ctx, min(max(glance, rests*took), longest)) {
			return ctx.Err()
		}
		began := time.Now()
		n, err := left.now(ctx)
		took = time.Since(began)
		if err != nil {
			return err
		}
		late := time.Since(at)
		if late > alarmTime {
			return fmt.Errorf("%d of %d alarms are left after %v", n, count, late)
		}
		f.late = append(f.late, slices.Repeat([]time.Duration{late}, count-n-gone)...)
		gone = count - n
	}
	f.took += time.Since(at)
	after, err := f.work.usage()
	f.used.CPU += after.CPU - before.CPU
	f.used.Mallocs += after.Mallocs - before.Mallocs
	return err
}

func (f *firing) result() result {
	count := len(f.late)
	return result{
		Rate: float64(count) / f.took.Seconds(), P50: median(f.late), P99: slices.Sorted(slices.Values(f.late))[count*99/100],
		CPU: f.used.CPU / time.Duration(count), Allocs: float64(f.used.Mallocs) / float64(count),
	}
}

// alarmsLeft counts alarms where a runtime keeps them that serves.
type alarmsLeft struct {
	db    *sql.DB
	count string
}

// openAlarms counts those that are due by a time.
func openAlarms(in place, at time.Time) (*alarmsLeft, error) {
	db, tasks, err := in.look()
	return &alarmsLeft{db, fmt.Sprintf("SELECT count(*) FROM %s WHERE type = '%s' AND due <= %d", tasks, counters, at.UnixMicro())}, err
}

func (a *alarmsLeft) now(ctx context.Context) (n int, err error) {
	err = a.db.QueryRowContext(ctx, a.count).Scan(&n)
	return n, err
}

func (a *alarmsLeft) close() error { return a.db.Close() }

// checkAlarms wants each of the actors to have counted one alarm, where the processes have
// ended that kept them.
func checkAlarms(ctx context.Context, in place, first, end int) error {
	_, err := embedded(ctx, in, func(caller sdk.Caller, _ []process) (result, error) {
		return result{}, callEach(end-first, func(n int) error {
			id := alarmID(first + n)
			res, err := myactorv1francis.NewMyActorProxy(caller, id).Get(ctx, &myactorv1.GetRequest{})
			if err == nil && res.GetOut() != 1 {
				err = fmt.Errorf("%s has counted %d; it has had one alarm", id, res.GetOut())
			}
			return err
		})
	})
	return err
}

// scheduled is a place with alarms of a part of the stored actors that are not due for
// long. A file is made once for each part; rows leave them alone.
func (l *lab) scheduled(ctx context.Context, a alarms) (place, error) {
	if a.others == 0 {
		return l.newPlace(ctx, a.on, "alarms.db")
	}
	if path := l.schedules[a.others]; path != "" {
		return path, nil
	}
	path := l.newPath("alarms.db")
	if err := storeAlarms(ctx, path, l.cfg.stored/a.others, time.Now().Add(month), storedID); err != nil {
		return "", err
	}
	l.schedules[a.others] = path
	return path, nil
}

// storeAlarms makes a file with so many alarms, each of an actor of its own.
func storeAlarms(ctx context.Context, in place, count int, at time.Time, id func(n int) string) error {
	kept, err := in.open(ctx)
	if err != nil {
		return err
	}
	err = callEach((count+limit.MaxChanges-1)/limit.MaxChanges, func(n int) error {
		var changes []*runtimev1.TaskChange
		for n := n * limit.MaxChanges; n < count && len(changes) < limit.MaxChanges; n++ {
			change, err := newAlarm(id(n), at)
			if err != nil {
				return err
			}
			changes = append(changes, change)
		}
		_, _, err := kept.Change(ctx, changes)
		return err
	})
	if err := errors.Join(err, kept.Close()); err != nil {
		return fmt.Errorf("store %d alarms: %w", count, err)
	}
	return nil
}

// newAlarm sets an alarm that adds 1.
func newAlarm(id string, at time.Time) (*runtimev1.TaskChange, error) {
	request, err := proto.Marshal(&myactorv1.IncrementRequest{In: 1})
	return &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{Set: &runtimev1.Task{
		Key:       &runtimev1.TaskKey{Type: counters, Id: id, Name: &runtimev1.TaskKey_Alarm{Alarm: "increment"}},
		Procedure: "/myactor.v1.MyActor/Increment", Request: request,
		Timing: &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(at)}},
		Retry:  &runtimev1.Retry{Attempts: 5, InitialBackoff: durationpb.New(time.Second), MaxBackoff: durationpb.New(time.Minute), Multiplier: 2},
	}}}, err
}
