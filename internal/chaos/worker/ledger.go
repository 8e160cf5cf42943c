package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	chaosv1 "github.com/francis-actors/francis/internal/chaos/gen/chaos/v1"
	"github.com/francis-actors/francis/internal/chaos/gen/chaos/v1/chaosv1francis"
	"github.com/francis-actors/francis/sdk"
)

// ledger is the actor that notes alarms and jobs.
type ledger struct{}

func newLedger(context.Context, *chaosv1francis.LedgerActorActivation) (chaosv1francis.LedgerActor, error) {
	return ledger{}, nil
}

// Note notes first and fails or does harm then: what it has noted is undone.
func (ledger) Note(ctx context.Context, turn chaosv1francis.LedgerActorTurn, req *chaosv1.NoteRequest) (*chaosv1.NoteResponse, error) {
	now := time.Now() // the store's clock is that of the same machine
	delivery, ok := turn.Delivery()
	if !ok || delivery.Alarm != "" && delivery.Alarm != req.GetEntry() {
		return nil, sdk.Permanent(fmt.Errorf("%q came as %+v", req.GetEntry(), delivery))
	}
	state, entry, late := turn.State(), req.GetEntry(), now.Sub(delivery.Scheduled)
	if req.GetRepeats() {
		entry = fmt.Sprintf("%s@%d", entry, delivery.Scheduled.Unix())
	}
	if state.Noted == nil {
		state.Noted = map[string]uint32{}
	}
	state.Noted[entry]++
	if late < 0 {
		state.Early++
	}
	if late > state.GetLatest().AsDuration() {
		state.Latest = durationpb.New(late)
	}
	if delivery.Attempt <= int(req.GetFailures()) {
		return nil, errors.New("as told")
	}
	return &chaosv1.NoteResponse{}, harm(ctx, req.GetHarm())
}

func (ledger) Plan(ctx context.Context, turn chaosv1francis.LedgerActorTurn, req *chaosv1.PlanRequest) (*chaosv1.PlanResponse, error) {
	for _, item := range req.GetItems() {
		if err := plan(ctx, turn, item); err != nil {
			return nil, err
		}
		turn.State().Planned = append(turn.State().Planned, item.GetEntry())
	}
	if req.GetFails() {
		return nil, errors.New("as told")
	}
	return &chaosv1.PlanResponse{}, nil
}

// plan sets an alarm or a job, of the turn's own actor or of another one.
func plan(ctx context.Context, turn chaosv1francis.LedgerActorTurn, item *chaosv1.PlanRequest_Item) error {
	target := turn.Self()
	if item.GetLedger() != turn.ID() {
		target = chaosv1francis.NewLedgerActorProxy(turn, item.GetLedger()).LedgerActorLater
	}
	note := &chaosv1.NoteRequest{Entry: item.GetEntry(), Failures: item.GetFailures()}
	if item.GetAlarm() {
		return target.ScheduleNote(ctx, item.GetEntry(), sdk.After(item.GetAfter().AsDuration()), note)
	}
	_, err := target.EnqueueNote(ctx, note, sdk.WithDelay(item.GetAfter().AsDuration()))
	return err
}

func (ledger) Audit(_ context.Context, view chaosv1francis.LedgerActorView, _ *chaosv1.AuditRequest) (*chaosv1.AuditResponse, error) {
	return &chaosv1.AuditResponse{State: view.State(), Process: int64(os.Getpid())}, nil
}
