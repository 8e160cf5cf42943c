package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

func jobKey(id, name string) *runtimev1.TaskKey {
	return &runtimev1.TaskKey{Type: "cart", Id: id, Name: &runtimev1.TaskKey_Job{Job: name}}
}

// jobOf is a job that is due at once.
func jobOf(id, name, request string) *runtimev1.Task {
	return &runtimev1.Task{
		Key: jobKey(id, name), Procedure: "/shop.v1.Cart/Remind", Request: []byte(request),
		Retry: &runtimev1.Retry{Attempts: 3, Multiplier: 2, InitialBackoff: durationpb.New(time.Minute), MaxBackoff: durationpb.New(time.Hour)},
	}
}

// set sets tasks.
func set(t testing.TB, s *Store, tasks ...*runtimev1.Task) store.Moved {
	t.Helper()
	moved, err := trySet(t.Context(), s, tasks...)
	if err != nil {
		t.Fatal(err)
	}
	return moved
}

func trySet(ctx context.Context, s *Store, tasks ...*runtimev1.Task) (store.Moved, error) {
	var changes []*runtimev1.TaskChange
	for _, task := range tasks {
		changes = append(changes, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Set{Set: task}})
	}
	_, moved, err := s.Change(ctx, changes)
	return moved, err
}

// due is what is due.
func due(t testing.TB, s *Store) []*runtimev1.ScheduledTask {
	t.Helper()
	found, err := s.Due(t.Context(), store.DueQuery{Type: "cart", Until: time.Now().Add(time.Second), Limit: store.MaxDue})
	if err != nil {
		t.Fatal(err)
	}
	return found.Tasks
}

// jobs are the names of jobs.
func jobs(tasks []*runtimev1.ScheduledTask) []string {
	var names []string
	for _, s := range tasks {
		names = append(names, s.GetTask().GetKey().GetJob())
	}
	slices.Sort(names)
	return names
}

func list(t testing.TB, s *Store, req *runtimev1.ListRequest) []*runtimev1.ScheduledTask {
	t.Helper()
	req.Type, req.Limit = "cart", store.MaxListed
	res, err := s.List(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return res.GetTasks()
}

// completion is a record that completes a delivery.
func completion(r *runtimev1.Record, s *runtimev1.ScheduledTask) *runtimev1.Record {
	r.Completes = &runtimev1.Completion{Key: s.GetTask().GetKey(), Revision: s.GetRevision()}
	return r
}

func failing(s *runtimev1.ScheduledTask, permanent bool) *runtimev1.Settlement { //nolint:revive // a field of the message
	return &runtimev1.Settlement{
		Key: s.GetTask().GetKey(), Revision: s.GetRevision(), Fence: &runtimev1.Fence{Epoch: 1},
		End: &runtimev1.Settlement_Failed{Failed: &runtimev1.Failure{Error: "x", Permanent: permanent}},
	}
}

func TestReopenKeepsTasks(t *testing.T) {
	t.Parallel()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db")}
	s := mustOpen(t, config)
	own(t, s, "w1")
	later := jobOf("a", "later", "")
	later.Timing = &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC))}}
	set(t, s, jobOf("a", "waits", "request"), jobOf("b", "fails", ""), jobOf("b", "dies", ""), later)
	for _, key := range due(t, s) {
		switch key.GetTask().GetKey().GetJob() {
		case "fails":
			_, _, err := s.Settle(t.Context(), "w1", []*runtimev1.Settlement{failing(key, false)})
			ok(t, err)
		case "dies":
			_, _, err := s.Settle(t.Context(), "w1", []*runtimev1.Settlement{failing(key, true)})
			ok(t, err)
		}
	}
	all := func(s *Store) string {
		return fmt.Sprintln(list(t, s, &runtimev1.ListRequest{}), list(t, s, &runtimev1.ListRequest{Dead: true}), due(t, s))
	}
	before := all(s)
	mustClose(t, s)
	again := mustOpen(t, config)
	defer mustClose(t, again)
	if after := all(again); after != before || strings.Count(after, "job:") != 5 {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	// The counter goes on, so no revision comes twice.
	first := list(t, again, &runtimev1.ListRequest{Id: "a", Name: "waits"})[0].GetRevision()
	if moved := set(t, again, jobOf("c", "next", "")); moved.Moves[0].Task.GetRevision() <= first {
		t.Errorf("revision %d after %d", moved.Moves[0].Task.GetRevision(), first)
	}
}

// A file of the release before there were tasks is brought forward, with all that it holds.
func TestMigratesToTasks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	commitAny(t, s)
	mustClose(t, s)
	change(t, path, withoutExpiry+"DROP TABLE tasks; DROP TABLE dead; DROP TABLE branches; PRAGMA user_version = 1")
	s = mustOpen(t, Config{Path: path})
	defer mustClose(t, s)
	if got := string(loadOne(t, s, "w1", "a").GetState().GetData()); got != "state" {
		t.Errorf("the state is %q", got)
	}
	set(t, s, jobOf("a", "1", ""))
	if got := jobs(due(t, s)); !slices.Equal(got, []string{"1"}) {
		t.Errorf("due: %v", got)
	}
}

// withoutExpiry takes from a file what the migration to states that expire has brought.
const withoutExpiry = "DROP TABLE expiring; ALTER TABLE actors DROP COLUMN expires; "

// The states of a file of the release before they could expire live for ever, until the next
// record says something else.
func TestMigratesToExpiry(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	now := time.Now()
	config := Config{Path: path, Now: func() time.Time { return now }}
	s := mustOpen(t, config)
	commitAny(t, s)
	mustClose(t, s)
	change(t, path, withoutExpiry+"PRAGMA user_version = 3")
	s = mustOpen(t, config)
	defer mustClose(t, s)
	if state := loadOne(t, s, "w1", "a").GetState(); string(state.GetData()) != "state" || state.GetExpiresIn() != nil {
		t.Errorf("the state is %v", state)
	}
	next := record("a", identity(1, 1), identity(1, 2), []byte("next"))
	next.StateTtl = durationpb.New(time.Hour)
	_, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{next})
	ok(t, err)
	if state := loadOne(t, s, "w1", "a").GetState(); string(state.GetData()) != "next" || state.GetExpiresIn() == nil {
		t.Errorf("the state is %v", state)
	}
}

// A row that was changed by hand is told of and listed, is never delivered, and harms no
// neighbour; to set or to delete it mends that.
func TestDamagedTask(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{
		"UPDATE tasks SET due = due - 1 WHERE name = 'b'",
		"UPDATE tasks SET checksum = checksum + 1 WHERE name = 'b'",
		"UPDATE tasks SET task = x'ff' WHERE name = 'b'",
		"UPDATE tasks SET task = x'' WHERE name = 'b'",
		"UPDATE tasks SET task = (SELECT task FROM tasks WHERE name = 'a') WHERE name = 'b'",
		"DELETE FROM tasks WHERE name = 'b'; UPDATE tasks SET name = 'b' WHERE name = 'moved'",
	} {
		t.Run(statement, func(t *testing.T) { t.Parallel(); checkDamagedTask(t, statement) })
	}
}

func checkDamagedTask(t *testing.T, statement string) {
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	own(t, s, "w1")
	set(t, s, jobOf("x", "a", ""), jobOf("x", "b", "whole"), jobOf("x", "c", ""), jobOf("x", "moved", ""))
	delivered := list(t, s, &runtimev1.ListRequest{Id: "x", Name: "b"})[0]
	mustClose(t, s)
	for part := range strings.SplitSeq(statement, ";") {
		change(t, path, part)
	}
	var said bytes.Buffer
	s = mustOpen(t, Config{Path: path, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	defer mustClose(t, s)
	for range 2 {
		if got := jobs(due(t, s)); slices.Contains(got, "b") || !slices.Contains(got, "a") || !slices.Contains(got, "c") {
			t.Errorf("due: %v", got)
		}
	}
	onPager(t, s, func(*pager) error { // the pager has the logger
		if n := strings.Count(said.String(), "name=b"); n != 1 {
			t.Errorf("it was told %d times: %s", n, &said)
		}
		return nil
	})
	listed := list(t, s, &runtimev1.ListRequest{Id: "x", Name: "b"})
	if len(listed) != 1 || listed[0].GetRevision() != 0 || listed[0].GetError() != store.ErrDamagedTask.Error() || !proto.Equal(listed[0].GetTask().GetKey(), jobKey("x", "b")) {
		t.Errorf("listed: %v", listed)
	}
	results, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{completion(record("x", nil, identity(1, 1), nil), delivered)})
	if err != nil || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_SUPERSEDED {
		t.Errorf("complete it: %v, %v", results, err)
	}
	verdicts, _, err := s.Settle(t.Context(), "w1", []*runtimev1.Settlement{failing(delivered, false)})
	if err != nil || verdicts[0] != runtimev1.Verdict_VERDICT_SUPERSEDED {
		t.Errorf("settle it: %v, %v", verdicts, err)
	}
	if moved := set(t, s, jobOf("x", "b", "mended")); len(moved.Moves) != 1 || !slices.Contains(jobs(due(t, s)), "b") {
		t.Errorf("set it anew: %v", moved)
	}
}

// To delete a damaged task or to bury a damaged dead letter gets rid of it; it cannot be
// revived.
func TestDamagedTaskIsDeleted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	own(t, s, "w1")
	set(t, s, jobOf("x", "a", ""), jobOf("x", "b", ""))
	_, _, err := s.Settle(t.Context(), "w1", []*runtimev1.Settlement{failing(due(t, s)[1], true)})
	ok(t, err)
	mustClose(t, s)
	change(t, path, "UPDATE tasks SET checksum = 0")
	change(t, path, "UPDATE dead SET checksum = 0")
	s = mustOpen(t, Config{Path: path})
	defer mustClose(t, s)
	results, _, err := s.Change(t.Context(), []*runtimev1.TaskChange{
		{Change: &runtimev1.TaskChange_Revive{Revive: jobKey("x", "b")}},
		{Change: &runtimev1.TaskChange_Delete{Delete: jobKey("x", "a")}},
		{Change: &runtimev1.TaskChange_Bury{Bury: jobKey("x", "b")}},
	})
	want := []runtimev1.ChangeResponse_Result{runtimev1.ChangeResponse_RESULT_NOT_FOUND, runtimev1.ChangeResponse_RESULT_DONE, runtimev1.ChangeResponse_RESULT_DONE}
	if err != nil || !slices.Equal(results, want) {
		t.Errorf("%v, %v", results, err)
	}
	if left := append(list(t, s, &runtimev1.ListRequest{}), list(t, s, &runtimev1.ListRequest{Dead: true})...); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// Where a page of the file is damaged, the tasks of other pages are delivered.
func TestDamagedPageOfTasks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	s := mustOpen(t, Config{Path: path})
	own(t, s, "w1")
	const count, size = 60, 600 // about five in a page
	for i := range count {
		set(t, s, jobOf("x", fmt.Sprintf("%02d", i), strings.Repeat(fmt.Sprintf("<%02d>", i), size/4)))
	}
	mustClose(t, s)
	image, err := os.ReadFile(path)
	ok(t, err)
	at := bytes.Index(image, bytes.Repeat([]byte("<30>"), size/4)) / pageSize * pageSize
	copy(image[at:], make([]byte, 8)) // the head of the page
	ok(t, os.WriteFile(path, image, 0o600))

	var said bytes.Buffer
	s = mustOpen(t, Config{Path: path, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	defer func() { _ = s.Close() }()
	got := jobs(due(t, s))
	if lost := count - len(got); lost < 1 || lost > 6 || slices.Contains(got, "30") || got[0] != "00" || got[len(got)-1] != "59" {
		t.Errorf("due: %v", got)
	}
	if said := said.String(); strings.Count(said, "a stored task is damaged") != count-len(got) {
		t.Errorf("told: %s", said)
	}
}

// With a full disk nothing of a change is there, and it is done once there is room.
func TestFullWithTasks(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db"), pragmas: []string{"max_page_count = 60"}})
	defer mustClose(t, s)
	own(t, s, "w1")
	set(t, s, jobOf("x", "kept", ""))
	before, err := s.Cluster(t.Context())
	ok(t, err)
	big := jobOf("x", "big", strings.Repeat("x", 1<<20))
	moved, err := trySet(t.Context(), s, jobOf("x", "kept", "conflict"), jobOf("x", "small", ""), big)
	if !errors.Is(err, store.ErrFull) || len(moved.Moves) > 0 {
		t.Errorf("a full disk: %v, %v", moved, err)
	}
	staged := completion(record("x", nil, identity(1, 1), []byte("state")), due(t, s)[0])
	staged.Changes = []*runtimev1.TaskChange{{Change: &runtimev1.TaskChange_Set{Set: big}}}
	if _, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{staged}); !errors.Is(err, store.ErrFull) {
		t.Errorf("a record on a full disk: %v", err)
	}
	if after, err := s.Cluster(t.Context()); err != nil || after.Point() != before.Point() || !slices.Equal(jobs(due(t, s)), []string{"kept"}) {
		t.Errorf("nothing was done, and %v of %v is left, with %v", after, before, jobs(due(t, s)))
	}
	makeRoom(t, s)
	results, _, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{staged})
	if err != nil || results[0].GetVerdict() != runtimev1.Verdict_VERDICT_APPLIED || !slices.Equal(jobs(due(t, s)), []string{"big"}) {
		t.Errorf("with room: %v, %v, %v", results, err, jobs(due(t, s)))
	}
}

// Calls of one transaction see each other's tasks, and report them as it leaves them.
func TestTasksJoin(t *testing.T) {
	t.Parallel()
	var once sync.Once
	var meanwhile func()
	config := Config{Path: filepath.Join(t.TempDir(), "data.db"), Now: func() time.Time {
		once.Do(func() { meanwhile() }) // the first change is being made
		return time.Now()
	}}
	s := mustOpen(t, config)
	defer mustClose(t, s)
	own(t, s, "w1")
	alarm := func(request string) *runtimev1.Task {
		task := jobOf("x", "", request)
		task.Key.Name = &runtimev1.TaskKey_Alarm{Alarm: "alarm"}
		return task
	}
	joined := make(chan store.Moved, 2)
	meanwhile = func() {
		go func() {
			moved, err := trySet(t.Context(), s, alarm("second"), jobOf("y", "1", ""))
			if err != nil {
				t.Error(err)
			}
			joined <- moved
		}()
		awaitWaiting(s.writer.queue, 1)
		go func() {
			r := record("x", nil, identity(1, 1), []byte("state"))
			r.Changes = []*runtimev1.TaskChange{{Change: &runtimev1.TaskChange_Set{Set: alarm("third")}}}
			_, moved, err := s.Commit(t.Context(), "w1", []*runtimev1.Record{r})
			if err != nil {
				t.Error(err)
			}
			joined <- moved
		}()
		awaitWaiting(s.writer.queue, 2)
	}
	first := set(t, s, alarm("first"))
	for _, moved := range []store.Moved{first, <-joined, <-joined} {
		if got := moved.Moves[0]; moved.Counter != first.Counter || string(got.Task.GetTask().GetRequest()) != "third" || got.Task.GetRevision() != uint64(first.Counter) {
			t.Errorf("moved: %v at %d; the first was at %d", got, moved.Counter, first.Counter)
		}
	}
	if got := due(t, s); len(got) != 2 {
		t.Errorf("due: %v", got)
	}
}
