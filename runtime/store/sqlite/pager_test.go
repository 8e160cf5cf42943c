package sqlite

import (
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

// Every page is a range of an index, read in its order, wherever it begins: nothing is
// sorted, and nothing is looked at that is not in the answer.
func TestPagesAreRanges(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db")})
	defer mustClose(t, s)
	const behind = "(due,id,kind,name)>(?,?,?,?)"
	const behindOfActor = "id=? AND (due,kind,name)>(?,?,?)"
	args := []driver.Value{"cart", int64(0), "a", int64(1), "x", int64(1), int64(1)}
	checkPlan(t, s, dueOfType, "INDEX tasks_due (type=? AND "+behind+" AND due<?)", args...)
	checkPlan(t, s, placesType, "COVERING INDEX tasks_due (type=? AND "+behind+" AND due<?)", args...)
	checkPlan(t, s, dueOfActor, "INDEX tasks_actor (type=? AND "+behindOfActor+" AND due<?)", args...)
	checkPlan(t, s, placesOf, "COVERING INDEX tasks_actor (type=? AND "+behindOfActor+" AND due<?)", args...)

	const alarms, jobs = runtimev1.ListRequest_KIND_ALARMS, runtimev1.ListRequest_KIND_JOBS
	alarm := &runtimev1.TaskKey{Id: "a", Name: &runtimev1.TaskKey_Alarm{Alarm: "x"}}
	for _, test := range []struct {
		req  *runtimev1.ListRequest
		kind runtimev1.ListRequest_Kind
		want string
	}{
		{&runtimev1.ListRequest{}, alarms, ""},
		{&runtimev1.ListRequest{After: alarm}, alarms, " AND (id,name)>(?,?)"},
		{&runtimev1.ListRequest{After: alarm}, jobs, " AND id>?"},
		{&runtimev1.ListRequest{Id: "a"}, jobs, " AND id=?"},
		{&runtimev1.ListRequest{Id: "a", After: alarm}, alarms, " AND id=? AND name>?"},
		{&runtimev1.ListRequest{Id: "a", Name: "x"}, alarms, " AND id=? AND name=?"},
	} {
		for _, dead := range []bool{false, true} {
			test.req.Dead = dead
			statement, args := listOf(test.req, test.kind, 10)
			checkPlan(t, s, statement, "PRIMARY KEY (type=? AND kind=?"+test.want+")", args...)
		}
	}
}

func checkPlan(t *testing.T, s *Store, statement, want string, args ...driver.Value) {
	t.Helper()
	var plan []string
	onPager(t, s, func(p *pager) error {
		explain, err := p.conn.prepare("EXPLAIN QUERY PLAN " + statement)
		if err != nil {
			return err
		}
		defer explain.Close()
		return explain.each(func(row []driver.Value) error {
			plan = append(plan, fmt.Sprint(row[3]))
			return nil
		}, args...)
	})
	if len(plan) != 1 || !strings.HasPrefix(plan[0], "SEARCH ") || !strings.HasSuffix(plan[0], want) {
		t.Errorf("%s\nis read by %q, want one search of %s", statement, plan, want)
	}
}

// A page of many tasks is read in several looks at the file, and is one answer.
func TestLongPage(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, Config{Path: filepath.Join(t.TempDir(), "data.db")})
	defer mustClose(t, s)
	const count, limit = 2*snapshotRows + 300, snapshotRows + 100
	for first := 0; first < count; first += 100 {
		var some []*runtimev1.Task
		for i := first; i < min(count, first+100); i++ {
			some = append(some, jobOf("a", fmt.Sprintf("%04d", i), ""))
		}
		set(t, s, some...)
	}
	var all []*runtimev1.ScheduledTask
	query := store.DueQuery{Type: "cart", Until: time.Now().Add(time.Second), Limit: limit}
	for _, want := range []int{limit, limit, count - 2*limit} {
		page, err := s.Due(t.Context(), query)
		ok(t, err)
		if more := want == limit; len(page.Tasks) != want || page.More != more {
			t.Fatalf("a page of %d tasks, more: %v; want %d", len(page.Tasks), page.More, want)
		}
		all, query.After = append(all, page.Tasks...), page.End
	}
	for i, s := range all {
		if name := s.GetTask().GetKey().GetJob(); name != fmt.Sprintf("%04d", i) {
			t.Fatalf("task %d is %s", i, name)
		}
	}
}

// onPager runs something on the goroutine of the pager.
func onPager(t testing.TB, s *Store, do func(*pager) error) {
	t.Helper()
	if _, err := queue.Ask(t.Context(), s.pages, do); err != nil {
		t.Fatal(err)
	}
}
