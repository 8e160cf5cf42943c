package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var dueTests = []test{
	{"tasks are due in order", dueOrder},
	{"what is due is read a page at a time", duePages},
	{"the tasks of one actor are read on their own", dueOfActor},
	{"nothing is due before its time", dueNeverEarly},
	{"a large answer is cut", dueLarge},
	{"a query must be well formed", dueMalformed},
	{"tasks are listed by key", listOrder},
	{"pages of a list do not shift", listPages},
	{"a long list is cut", listLarge},
}

// dueAt is a task that is due at a time.
func dueAt(key *runtimev1.TaskKey, at time.Time) *runtimev1.Task {
	t := task(key, "")
	t.Timing = &runtimev1.Timing{First: &runtimev1.Timing_At{At: timestamppb.New(at)}}
	return t
}

func dueOrder(b *bench) {
	b.single()
	past := b.clock.now().Add(-time.Hour).Truncate(time.Second)
	expected := []*runtimev1.TaskKey{
		alarm("z", "0"), alarm("a", "x"), alarm("a", "y"), job("a", "a"), job("a", "x"), alarm("b", "a"),
		job("B", "later"), job("b", "later"), alarm("a", "last"),
	}
	times := []int{0, 1, 1, 1, 1, 1, 2, 2, 3}
	tasks := []*runtimev1.Task{dueAt(&runtimev1.TaskKey{Type: "carts", Id: "a", Name: alarm("", "x").GetName()}, past), dueAt(alarm("a", "future"), past.Add(2*time.Hour))}
	for i, key := range expected {
		tasks = append(tasks, dueAt(key, past.Add(time.Duration(times[i])*time.Second)))
	}
	slices.Reverse(tasks)
	b.set(tasks...)
	all := []string{}
	for _, key := range expected {
		all = append(all, name(key))
	}
	want(b, "due", names(b.due()), all)
	for _, limit := range []int{1, 2, 3, 7, 100} {
		want(b, fmt.Sprint("due in pages of ", limit), names(b.pages(store.DueQuery{Type: "cart", Until: b.clock.now(), Limit: limit})), all)
	}
	want(b, "due until the second", names(b.pages(store.DueQuery{Type: "cart", Until: past.Add(time.Second), Limit: 4})), all[:6])
	want(b, "of another type", len(b.pages(store.DueQuery{Type: "carts", Until: b.clock.now(), Limit: 4})), 1)
	want(b, "of no type", len(b.pages(store.DueQuery{Type: "car", Until: b.clock.now(), Limit: 4})), 0)
}

// pages reads what is due, page by page.
func (b *bench) pages(query store.DueQuery) []*runtimev1.ScheduledTask {
	b.Helper()
	var all []*runtimev1.ScheduledTask
	for {
		page, err := b.Due(b.Context(), query)
		b.ok(err)
		if len(page.Tasks) > query.Limit || page.Now.IsZero() {
			b.Fatalf("a page of %d tasks, where %d were asked for, at %v", len(page.Tasks), query.Limit, page.Now)
		}
		all = append(all, page.Tasks...)
		if !page.More {
			return all
		}
		if page.End.Compare(query.After) <= 0 {
			b.Fatalf("a page ends at %v, behind %v", page.End, query.After)
		}
		query.After = page.End
	}
}

// What is set before the place where a reader is does not come to it, what is set behind
// it does, and nothing comes twice.
func duePages(b *bench) {
	b.single()
	past := b.clock.now().Add(-time.Hour).Truncate(time.Second)
	for i := range 10 {
		b.set(dueAt(job("a", fmt.Sprint(i)), past.Add(time.Duration(i)*time.Minute)))
	}
	first, err := b.Due(b.Context(), store.DueQuery{Type: "cart", Until: b.clock.now(), Limit: 5})
	b.ok(err)
	want(b, "the first page", names(first.Tasks), []string{"a#0", "a#1", "a#2", "a#3", "a#4"})
	want(b, "where it ends", first.End.Compare(store.PositionOf(first.Tasks[4])), 0)
	b.change(remove(job("a", "2")), remove(job("a", "7")), set(dueAt(job("a", "early"), past)), set(dueAt(job("a", "behind"), past.Add(4*time.Minute+time.Second))))
	rest := b.pages(store.DueQuery{Type: "cart", Until: b.clock.now(), Limit: 5, After: first.End})
	want(b, "the rest", names(rest), []string{"a#behind", "a#5", "a#6", "a#8", "a#9"})
}

func dueOfActor(b *bench) {
	b.single()
	past := b.clock.now().Add(-time.Hour).Truncate(time.Second)
	var tasks []*runtimev1.Task
	for i := range 12 {
		tasks = append(tasks, dueAt(job(string(rune('a'+i%3)), fmt.Sprintf("%02d", i)), past.Add(time.Duration(i/6)*time.Second)))
	}
	b.set(tasks...)
	all := b.pages(store.DueQuery{Type: "cart", Until: b.clock.now(), Limit: 5})
	want(b, "tasks", len(all), 12)
	for _, id := range []string{"a", "b", "c"} {
		var own []*runtimev1.ScheduledTask
		for _, s := range all {
			if s.GetTask().GetKey().GetId() == id {
				own = append(own, s)
			}
		}
		want(b, "tasks of "+id, names(b.pages(store.DueQuery{Type: "cart", ID: id, Until: b.clock.now(), Limit: 3})), names(own))
		// Behind any place, also that of another actor.
		for i, s := range all {
			behind := slices.DeleteFunc(slices.Clone(all[i+1:]), func(s *runtimev1.ScheduledTask) bool { return s.GetTask().GetKey().GetId() != id })
			got := b.pages(store.DueQuery{Type: "cart", ID: id, After: store.PositionOf(s), Until: b.clock.now(), Limit: 3})
			want(b, fmt.Sprintf("tasks of %s behind %s", id, name(s.GetTask().GetKey())), names(got), names(behind))
		}
	}
	want(b, "tasks of nobody", len(b.pages(store.DueQuery{Type: "cart", ID: "d", Until: b.clock.now(), Limit: 3})), 0)
}

func dueNeverEarly(b *bench) {
	b.single()
	at := b.clock.now().Add(-time.Hour).Truncate(time.Second)
	b.set(dueAt(alarm("a", "exact"), at), dueAt(alarm("a", "odd"), at.Add(1)), dueAt(alarm("a", "old"), time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC)),
		dueAt(alarm("a", "far"), time.Date(2199, 12, 31, 0, 0, 0, 0, time.UTC)))
	until := func(t time.Time) []string {
		return names(b.pages(store.DueQuery{Type: "cart", Until: t, Limit: 10}))
	}
	want(b, "before", until(at.Add(-1)), []string{"a!old"})
	want(b, "at the time", until(at), []string{"a!old", "a!exact"})
	want(b, "a little later", until(at.Add(time.Microsecond-1)), []string{"a!old", "a!exact"})
	want(b, "a microsecond later", until(at.Add(time.Microsecond)), []string{"a!old", "a!exact", "a!odd"})
	want(b, "in the end", until(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)), []string{"a!old", "a!exact", "a!odd", "a!far"})
	want(b, "scheduled", b.stored(alarm("a", "odd")).GetScheduled().AsTime(), at.Add(1))
}

func dueLarge(b *bench) {
	b.single()
	const large, count = 1 << 20, 12
	for i := range count {
		b.set(task(job("a", fmt.Sprintf("%02d", i)), strings.Repeat("x", large)))
	}
	page, err := b.Due(b.Context(), store.DueQuery{Type: "cart", Until: b.clock.now(), Limit: 100})
	b.ok(err)
	if n := len(page.Tasks); n == 0 || n > 9 || !page.More {
		b.Errorf("a page of %d tasks of 1 MiB, more: %v", n, page.More)
	}
	want(b, "all pages", len(b.pages(store.DueQuery{Type: "cart", Until: b.clock.now(), Limit: 100})), count)
}

func dueMalformed(b *bench) {
	for what, query := range map[string]store.DueQuery{
		"no type": {Limit: 1}, "no limit": {Type: "cart"}, "less": {Type: "cart", Limit: -1}, "too many": {Type: "cart", Limit: store.MaxDue + 1},
	} {
		_, err := b.Due(b.Context(), query)
		wantError(b, what, err, store.ErrInvalid)
	}
	for what, req := range map[string]*runtimev1.ListRequest{
		"no type": {}, "a name without an id": {Type: "cart", Name: "x"}, "too many": {Type: "cart", Limit: store.MaxListed + 1},
	} {
		_, err := b.List(b.Context(), req)
		wantError(b, what, err, store.ErrInvalid)
	}
}

// library is a store with tasks and dead letters of three actors.
func (b *bench) library() {
	b.Helper()
	b.single()
	for _, id := range []string{"c", "a", "b"} {
		b.set(task(alarm(id, "y"), ""), after(alarm(id, "x"), time.Hour), after(job(id, "2"), time.Minute), task(job(id, "1"), ""), task(job(id, "dead"), ""))
		b.settle("w1", permanent(b.stored(job(id, "dead")), "x"))
	}
}

func listOrder(b *bench) {
	b.library()
	const alarms, jobs = runtimev1.ListRequest_KIND_ALARMS, runtimev1.ListRequest_KIND_JOBS
	for _, test := range []struct {
		what string
		req  *runtimev1.ListRequest
		want string
	}{
		{"all", &runtimev1.ListRequest{}, "a!x a!y a#1 a#2 b!x b!y b#1 b#2 c!x c!y c#1 c#2"},
		{"alarms", &runtimev1.ListRequest{Kind: alarms}, "a!x a!y b!x b!y c!x c!y"},
		{"jobs", &runtimev1.ListRequest{Kind: jobs}, "a#1 a#2 b#1 b#2 c#1 c#2"},
		{"one actor", &runtimev1.ListRequest{Id: "b"}, "b!x b!y b#1 b#2"},
		{"its jobs", &runtimev1.ListRequest{Id: "b", Kind: jobs}, "b#1 b#2"},
		{"a name", &runtimev1.ListRequest{Id: "b", Name: "x"}, "b!x"},
		{"a name of the other kind", &runtimev1.ListRequest{Id: "b", Name: "x", Kind: jobs}, ""},
		{"after an alarm", &runtimev1.ListRequest{After: alarm("b", "x")}, "b!y b#1 b#2 c!x c!y c#1 c#2"},
		{"after a job", &runtimev1.ListRequest{After: job("b", "1")}, "b#2 c!x c!y c#1 c#2"},
		{"alarms after a job", &runtimev1.ListRequest{Kind: alarms, After: job("b", "1")}, "c!x c!y"},
		{"jobs after an alarm", &runtimev1.ListRequest{Kind: jobs, After: alarm("b", "x")}, "b#1 b#2 c#1 c#2"},
		{"after what is not there", &runtimev1.ListRequest{After: job("bb", "1")}, "c!x c!y c#1 c#2"},
		{"one actor after a key", &runtimev1.ListRequest{Id: "b", After: alarm("b", "y")}, "b#1 b#2"},
		{"one actor after an earlier one", &runtimev1.ListRequest{Id: "b", After: job("a", "1")}, "b!x b!y b#1 b#2"},
		{"one actor after a later one", &runtimev1.ListRequest{Id: "b", After: job("c", "1")}, ""},
		{"a name after it", &runtimev1.ListRequest{Id: "b", Name: "x", After: alarm("b", "x")}, ""},
		{"dead", &runtimev1.ListRequest{Dead: true}, "a#dead b#dead c#dead"},
		{"dead alarms", &runtimev1.ListRequest{Dead: true, Kind: alarms}, ""},
		{"dead of one", &runtimev1.ListRequest{Dead: true, Id: "b", Name: "dead"}, "b#dead"},
		{"another type", &runtimev1.ListRequest{Type: "carts"}, ""},
	} {
		if test.req.GetType() == "" {
			test.req.Type = "cart"
		}
		want(b, test.what, strings.Join(names(b.list(test.req).GetTasks()), " "), test.want)
		for limit := uint32(1); limit < 5; limit++ {
			test.req.Limit = limit
			want(b, fmt.Sprintf("%s in pages of %d", test.what, limit), strings.Join(names(b.listed(test.req)), " "), test.want)
		}
	}
}

// listed lists page by page.
func (b *bench) listed(req *runtimev1.ListRequest) []*runtimev1.ScheduledTask {
	b.Helper()
	req = proto.CloneOf(req)
	var all []*runtimev1.ScheduledTask
	for {
		page := b.list(req)
		all = append(all, page.GetTasks()...)
		if !page.GetMore() {
			return all
		}
		if n := len(page.GetTasks()); n == 0 || n > int(req.GetLimit()) {
			b.Fatalf("a page of %d tasks, where %d were asked for, and more", n, req.GetLimit())
		}
		req.After = page.GetTasks()[len(page.GetTasks())-1].GetTask().GetKey()
	}
}

func listPages(b *bench) {
	b.library()
	req := &runtimev1.ListRequest{Type: "cart", Limit: 5}
	page := b.list(req)
	want(b, "the first page", names(page.GetTasks()), []string{"a!x", "a!y", "a#1", "a#2", "b!x"})
	// The place where the page ends goes, something comes before it and something behind.
	b.change(remove(alarm("b", "x")), set(task(job("a", "3"), "")), set(task(alarm("b", "z"), "")), remove(job("c", "1")))
	b.fail(job("b", "1"), "moves it in time, not in the list")
	req.After = page.GetTasks()[4].GetTask().GetKey()
	want(b, "the rest", names(b.listed(req)), []string{"b!y", "b!z", "b#1", "b#2", "c!x", "c!y", "c#2"})
}

func listLarge(b *bench) {
	b.single()
	for i := range 6 {
		b.set(task(job("a", fmt.Sprint(i)), strings.Repeat("x", 1<<20)))
	}
	page := b.list(&runtimev1.ListRequest{Type: "cart"})
	if n := len(page.GetTasks()); n == 0 || n > 3 || !page.GetMore() {
		b.Errorf("a page of %d tasks of 1 MiB, more: %v", n, page.GetMore())
	}
	want(b, "all", len(b.listed(&runtimev1.ListRequest{Type: "cart", Limit: 100})), 6)
	var small []*runtimev1.Task
	for i := range 120 {
		small = append(small, task(alarm("b", fmt.Sprintf("%03d", i)), ""))
	}
	b.set(small...)
	page = b.list(&runtimev1.ListRequest{Type: "cart", Id: "b"})
	want(b, "without a limit", fmt.Sprint(len(page.GetTasks()), page.GetMore()), "100 true")
}
