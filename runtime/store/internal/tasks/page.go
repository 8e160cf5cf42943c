package tasks

import (
	"time"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// maxDue and maxList are how large an answer becomes before its last task, in bytes.
const (
	maxDue  = 8 << 20
	maxList = 2 << 20
)

// DuePage is the answer to store.Tasks.Due as it grows.
type DuePage struct {
	query  store.DueQuery
	due    store.Due
	looked int
	bytes  int
}

// NewDuePage is an empty answer, at a time.
func NewDuePage(query store.DueQuery, now time.Time) *DuePage {
	return &DuePage{query: query, due: store.Due{End: query.After, Now: now}}
}

// From is the place behind which the answer begins, or goes on: among the tasks of one
// actor, if the query is about one. That a task of another actor is there, says the id.
func (p *DuePage) From() store.Position {
	from := p.due.End
	from.Key.Type = p.query.Type
	if p.query.ID == "" || from.Key.ID == p.query.ID {
		return from
	}
	if from.Key.ID > p.query.ID { // the actor's tasks of that time are before it
		from.Due = from.Due.Add(store.DueUnit)
	}
	from.Key = store.TaskKey{Type: p.query.Type, ID: p.query.ID}
	return from
}

// Room is how many tasks may still be looked at.
func (p *DuePage) Room() int { return p.query.Limit - p.looked }

// Holds reports whether a place is in the answer, if there is room.
func (p *DuePage) Holds(place store.Position) bool {
	return place.Key.Type == p.query.Type && (p.query.ID == "" || place.Key.ID == p.query.ID) && !place.Due.After(p.query.Until)
}

// Add adds the task at a place behind all others, nil for one that is damaged, and reports
// whether there is room for another one.
func (p *DuePage) Add(place store.Position, s *runtimev1.ScheduledTask) bool {
	if s != nil {
		p.due.Tasks = append(p.due.Tasks, s)
		p.bytes += proto.Size(s)
	}
	p.looked++
	p.due.End = place
	p.due.More = p.looked >= p.query.Limit || p.bytes >= maxDue
	return !p.due.More
}

// Due is the answer.
func (p *DuePage) Due() store.Due { return p.due }

// ListPage is the answer to store.Tasks.List as it grows.
type ListPage struct {
	req   *runtimev1.ListRequest
	after store.TaskKey
	res   *runtimev1.ListResponse
	bytes int
}

// NewListPage is an empty answer.
func NewListPage(req *runtimev1.ListRequest) *ListPage {
	return &ListPage{req: req, after: store.KeyOf(req.GetAfter()), res: &runtimev1.ListResponse{}}
}

// Limit is how many tasks the answer has at most.
func (p *ListPage) Limit() int {
	if limit := p.req.GetLimit(); limit > 0 {
		return int(limit)
	}
	return store.Listed
}

// Holds reports whether a row is in the answer, if there is room.
func (p *ListPage) Holds(ref Ref) bool {
	return ref.Dead == p.req.GetDead() && ref.Type == p.req.GetType() &&
		(p.req.GetId() == "" || ref.ID == p.req.GetId()) &&
		(p.req.GetKind() == runtimev1.ListRequest_KIND_UNSPECIFIED || ref.Kind == p.req.GetKind()) &&
		(p.req.GetName() == "" || ref.Name == p.req.GetName()) &&
		(p.req.GetAfter() == nil || ref.Compare(p.after) > 0)
}

// Add adds a task behind all others, and reports whether there was room.
func (p *ListPage) Add(s *runtimev1.ScheduledTask) bool {
	if len(p.res.GetTasks()) >= p.Limit() || p.bytes >= maxList {
		p.res.More = true
		return false
	}
	p.res.Tasks = append(p.res.Tasks, s)
	p.bytes += proto.Size(s)
	return true
}

// AddAll adds tasks behind all others, as far as there is room; more says whether others
// follow them.
func (p *ListPage) AddAll(found []*runtimev1.ScheduledTask, more bool) {
	p.res.More = more
	for _, s := range found {
		if !p.Add(s) {
			return
		}
	}
}

// Response is the answer.
func (p *ListPage) Response() *runtimev1.ListResponse { return p.res }
