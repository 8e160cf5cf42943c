package behaviour

import (
	"context"
	"errors"
	"fmt"
	"sync"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
)

// Diaries makes diaries and knows how often they were written to.
type Diaries struct {
	mu sync.Mutex
	// begun counts the turns of each diary that have begun.
	begun map[string]int
	// changed is closed, and replaced, when one begins.
	changed chan struct{}
}

// New is the constructor of diaries.
func (d *Diaries) New(context.Context, *behaviourv1francis.DiaryActorActivation) (behaviourv1francis.DiaryActor, error) {
	return diary{d}, nil
}

// Await waits until so many turns of a diary have begun. A call that is made then waits for
// the last of them.
func (d *Diaries) Await(ctx context.Context, id string, turns int) error {
	for {
		begun, changed := d.look(id, 0)
		if begun >= turns {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d turns of the diary %s have begun, of %d: %w", begun, id, turns, ctx.Err())
		}
	}
}

// look counts turns of a diary, and returns how many there are and what is closed when
// there are more.
func (d *Diaries) look(id string, more int) (int, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed, d.begun = make(chan struct{}), map[string]int{}
	}
	if more > 0 {
		close(d.changed)
		d.changed = make(chan struct{})
		d.begun[id] += more
	}
	return d.begun[id], d.changed
}

type diary struct{ diaries *Diaries }

func (a diary) Write(ctx context.Context, turn behaviourv1francis.DiaryActorTurn, req *behaviourv1.WriteRequest) (*behaviourv1.WriteResponse, error) {
	a.diaries.look(turn.ID(), 1)
	attempt := 1
	if req.GetEntry() != "" {
		entry := req.GetEntry()
		if tenant := turn.Metadata().Get("tenant"); tenant != "" {
			entry += " for " + tenant
		}
		if delivery, ok := turn.Delivery(); ok {
			attempt = delivery.Attempt
			entry += fmt.Sprintf(" (%s, attempt %d)", nameOf(delivery), attempt)
		}
		turn.State().Entries = append(turn.State().GetEntries(), entry)
	}
	if err := plan(ctx, turn, turn.ID(), req.GetPlans()); err != nil {
		return nil, err
	}
	if req.GetFail() == "" || req.GetFailBefore() > 0 && attempt >= int(req.GetFailBefore()) {
		return &behaviourv1.WriteResponse{}, nil
	}
	err := errors.New(req.GetFail())
	if req.GetPermanent() {
		err = sdk.Permanent(err)
	}
	return nil, err
}

func (a diary) Look(ctx context.Context, view behaviourv1francis.DiaryActorView, req *behaviourv1.LookRequest) (*behaviourv1.LookResponse, error) {
	return &behaviourv1.LookResponse{Entries: view.State().GetEntries(), Version: view.Version()}, plan(ctx, view, view.ID(), req.GetPlans())
}

func (a diary) Mourn(_ context.Context, turn behaviourv1francis.DiaryActorTurn, req *francisv1.DeadLetter) (*behaviourv1.MournResponse, error) {
	a.diaries.look(turn.ID(), 1)
	name := "job"
	if req.GetAlarm() != "" {
		name = "alarm " + req.GetAlarm()
	}
	turn.State().Entries = append(turn.State().GetEntries(), fmt.Sprintf("%s of %s died after %d attempts: %s", name, req.GetMethod(), req.GetAttempts(), req.GetError()))
	return &behaviourv1.MournResponse{}, nil
}

func nameOf(delivery sdk.Delivery) string {
	if delivery.Alarm != "" {
		return "alarm " + delivery.Alarm
	}
	return "job"
}

// plan does something to alarms and jobs, as a turn is told to.
func plan(ctx context.Context, caller sdk.Caller, self string, plans []*behaviourv1.Plan) error {
	for _, p := range plans {
		if p.GetDelete() {
			if err := caller.(interface {
				Delete(ctx context.Context) error
			}).Delete(ctx); err != nil {
				return err
			}
			continue
		}
		id := p.GetDiary()
		if id == "" {
			id = self
		}
		if err := planOne(ctx, behaviourv1francis.NewDiaryActorProxy(caller, id), p); err != nil {
			return err
		}
	}
	return nil
}

func planOne(ctx context.Context, to behaviourv1francis.DiaryActorProxy, p *behaviourv1.Plan) error {
	when := sdk.After(p.GetAfter().AsDuration())
	switch {
	case p.GetWrite() == nil:
		return to.DeleteAlarm(ctx, p.GetAlarm())
	case p.GetAlarm() != "":
		return to.ScheduleWrite(ctx, p.GetAlarm(), when, p.GetWrite())
	default:
		_, err := to.EnqueueWrite(ctx, p.GetWrite(), sdk.WithWhen(when))
		return err
	}
}
