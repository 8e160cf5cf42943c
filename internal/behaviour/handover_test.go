package behaviour_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/francis-actors/francis/internal/behaviour"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/remote"
)

// Jobs follow their actors: while workers leave and join, each job takes effect once.
func TestJobsFollowTheirActors(t *testing.T) {
	t.Parallel()
	const actors, jobs = 20, 15
	address, ca := startRuntime(t, `{type: sqlite, connectionString: "`+filepath.Join(t.TempDir(), "data.db")+`"}`)
	diaries := &behaviour.Diaries{}
	register := func(r sdk.Registrar) error { return behaviourv1francis.RegisterDiaryActor(r, diaries.New) }
	leave := startLeaver(t, address, ca, register)
	startWorker(t, address, ca, register)
	caller := startWorker(t, address, ca, func(sdk.Registrar) error { return nil })

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := range actors * jobs {
		delay := time.Duration(n%jobs) * 100 * time.Millisecond
		req := &behaviourv1.WriteRequest{Entry: fmt.Sprintf("%02d", n/actors)}
		if _, err := diaryOf(caller, n%actors).EnqueueWrite(ctx, req, sdk.WithDelay(delay)); err != nil {
			t.Fatal(err)
		}
	}
	if err := diaries.Await(ctx, "diary0", 2); err != nil {
		t.Fatal(err)
	}
	leave()
	startWorker(t, address, ca, register)

	want := []string{}
	for n := range jobs {
		want = append(want, fmt.Sprintf("%02d (job, attempt 1)", n))
	}
	for n := range actors {
		got := entriesOf(ctx, t, diaries, diaryOf(caller, n), fmt.Sprintf("diary%d", n), jobs)
		if !slices.Equal(got, want) {
			t.Errorf("diary %d says %q, want each job once", n, got)
		}
	}
}

func diaryOf(host *remote.Host, n int) behaviourv1francis.DiaryActorProxy {
	return behaviourv1francis.NewDiaryActorProxy(host.Service(), fmt.Sprintf("diary%d", n))
}

// entriesOf waits until a diary has so many entries, and returns them in order. Turns that
// were cut off by a handover have begun and left none.
func entriesOf(ctx context.Context, t *testing.T, diaries *behaviour.Diaries, diary behaviourv1francis.DiaryActorProxy, id string, entries int) []string {
	t.Helper()
	for turns := entries; ; turns++ {
		if err := diaries.Await(ctx, id, turns); err != nil {
			t.Fatal(err)
		}
		res, err := diary.Look(ctx, &behaviourv1.LookRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if len(res.GetEntries()) >= entries {
			slices.Sort(res.Entries)
			return res.GetEntries()
		}
	}
}

// startLeaver starts a worker, and returns what lets it hand its actors over and leave.
func startLeaver(t *testing.T, address string, ca []byte, register func(sdk.Registrar) error) (leave func()) {
	t.Helper()
	host := newWorker(t, address, ca)
	if err := register(host); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx) }()
	<-host.Ready()
	return func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the worker that left: %v", err)
		}
	}
}
