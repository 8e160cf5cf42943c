// Package listing grows the pages in which stores list actors.
package listing

import (
	"strings"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Page is the answer to store.Records.ListActors as it grows. A driver visits the actors of
// the type in the order of their ids, from [Page.From] on.
type Page struct {
	req *runtimev1.ListActorsRequest
	res *runtimev1.ListActorsResponse
	// looked counts the actors that were looked at, and last is the id of the last one.
	looked int
	last   string
}

// NewPage is an empty answer.
func NewPage(req *runtimev1.ListActorsRequest) *Page {
	return &Page{req: req, res: &runtimev1.ListActorsResponse{}}
}

// From is the id with which the visit begins, itself included. So one range of an index
// serves both, what comes after an id and what has a prefix.
func (p *Page) From() string { return max(p.req.GetAfter(), p.req.GetPrefix()) }

// Rows is how many actors are visited at most: those for which there is room, the one after
// which the page begins, and one that shows that others follow.
func (p *Page) Rows() int { return p.limit() + 2 }

func (p *Page) limit() int {
	if limit := p.req.GetLimit(); limit > 0 {
		return int(limit)
	}
	return store.Listed
}

// Visit takes the next actor, nil for one that has no state, and reports whether another one
// is wanted. Those without a state take their room like others, so that a page costs no more
// where there are many of them.
func (p *Page) Visit(id string, actor *runtimev1.ListedActor) bool {
	switch {
	case id == p.req.GetAfter():
		return true
	case !strings.HasPrefix(id, p.req.GetPrefix()):
		return false
	case p.looked == p.limit():
		p.res.Next = p.last
		return false
	}
	p.looked++
	p.last = id
	if actor != nil {
		p.res.Actors = append(p.res.Actors, actor)
	}
	return true
}

// Response is the answer.
func (p *Page) Response() *runtimev1.ListActorsResponse { return p.res }
