package francistest_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

func (f fixture) later(id string) behaviourv1francis.ProbeActorLater {
	return behaviourv1francis.NewProbeActorProxy(f.host.Service(), id).ProbeActorLater
}

// sum is that of a probe, to which it adds nothing.
func (f fixture) sum(id string) int64 {
	f.Helper()
	res, err := behaviourv1francis.NewProbeActorProxy(f.host.Service(), id).Add(f.Context(), &behaviourv1.AddRequest{})
	if err != nil {
		f.Error(err)
	}
	return res.GetSum()
}

// Jobs of one actor that are due at once come one after the other: they do not fill the
// queue before the actor.
func TestManyJobsOfOneActor(t *testing.T) {
	inBubble(t, func(f fixture) {
		const jobs = 100 // of which 8 may wait
		for range jobs {
			if _, err := f.later("a").EnqueueAdd(f.Context(), &behaviourv1.AddRequest{In: 1}, sdk.WithDelay(time.Second)); err != nil {
				f.Fatal(err)
			}
		}
		synctest.Wait()
		if got := f.sum("a"); got != 0 {
			f.Errorf("the sum is %d before the jobs are due", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := f.sum("a"); got != jobs {
			f.Errorf("the sum is %d, want %d", got, jobs)
		}
	})
}

// A year has as many nights as days, whatever the clocks do.
func TestDailyAlarmOfAYear(t *testing.T) {
	inBubble(t, func(f fixture) {
		err := f.later("a").ScheduleAdd(f.Context(), "nightly", sdk.Cron("30 2 * * *", "Europe/Rome"), &behaviourv1.AddRequest{In: 1})
		if err != nil {
			f.Fatal(err)
		}
		for days := range 366 {
			if got := f.sum("a"); got != int64(days) {
				f.Fatalf("the alarm came %d times in %d days", got, days)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

// A list has pages, and what changes meanwhile does not shift them.
func TestLongList(t *testing.T) {
	inBubble(t, func(f fixture) {
		const alarms = 250
		for n := range alarms {
			name := fmt.Sprintf("alarm%03d", n)
			if err := f.later("a").ScheduleAdd(f.Context(), name, sdk.After(time.Hour), &behaviourv1.AddRequest{In: 1}); err != nil {
				f.Fatal(err)
			}
		}
		listed := 0
		for task, err := range f.later("a").Alarms(f.Context()) {
			if want := fmt.Sprintf("alarm%03d", listed); err != nil || task.Alarm != want {
				f.Fatalf("the list goes on with %q, %v; want %q", task.Alarm, err, want)
			}
			if err := f.later("a").DeleteAlarm(f.Context(), task.Alarm); err != nil {
				f.Error(err)
			}
			listed++
		}
		if listed != alarms {
			f.Errorf("%d alarms are listed, want %d", listed, alarms)
		}
	})
}

// A host that has ended delivers nothing any more.
func TestNothingComesDueAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		host, err := francistest.NewHost()
		if err != nil {
			t.Fatal(err)
		}
		f := newFixture(t, host)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- host.Run(ctx) }()
		if err := f.later("a").ScheduleAdd(ctx, "tick", sdk.Every(time.Second), &behaviourv1.AddRequest{In: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		made := f.probes.Constructed("a")
		time.Sleep(time.Hour)
		if got := f.probes.Constructed("a"); got != made || made == 0 {
			t.Errorf("the actor was made %d times, and %d times when the host had ended", made, got)
		}
	})
}
