package gateway

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/fault"
)

// maxListed is how many tasks one answer lists at most.
const maxListed = 1000

// kind is what the paths below /alarm or /job name.
type kind struct {
	word string
	list runtimev1.ListRequest_Kind
	// key names a task of an actor.
	key func(typ, id, name string) *runtimev1.TaskKey
	// named is true where who sets a task gives it its name.
	named bool
}

var (
	alarms = kind{word: "alarm", list: runtimev1.ListRequest_KIND_ALARMS, key: alarmKey, named: true}
	jobs   = kind{word: "job", list: runtimev1.ListRequest_KIND_JOBS, key: jobKey}
)

func alarmKey(typ, id, name string) *runtimev1.TaskKey {
	return &runtimev1.TaskKey{Type: typ, Id: id, Name: &runtimev1.TaskKey_Alarm{Alarm: name}}
}

func jobKey(typ, id, name string) *runtimev1.TaskKey {
	return &runtimev1.TaskKey{Type: typ, Id: id, Name: &runtimev1.TaskKey_Job{Job: name}}
}

// place is what the path of a request names: the tasks of an actor, /job/{type}/{id}, or
// one of them, /job/{type}/{id}/{name}, or what is done with it,
// /job/{type}/{id}/{name}/retry.
type place struct {
	kind
	contract *contract.Contract
	id, name string
	verb     string
}

// serveTasks serves people who look after the tasks of a kind.
func (g *Gateway) serveTasks(k kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := g.serveTask(w, r, k); err != nil {
			g.fail(w, r, err)
		}
	}
}

func (g *Gateway) serveTask(w http.ResponseWriter, r *http.Request, k kind) error {
	at, err := g.place(r, k)
	if err != nil {
		return err
	}
	switch {
	case r.Method == http.MethodPost && at.verb == "" && (at.name != "") == k.named:
		return g.setTask(w, r, at)
	case r.Method == http.MethodPost && at.verb == "retry":
		return g.retryTask(w, r, at)
	case r.Method == http.MethodGet && at.name == "":
		return g.listTasks(w, r, at)
	case r.Method == http.MethodGet && at.verb == "":
		return g.getTask(w, r, at)
	case r.Method == http.MethodDelete && at.name != "" && at.verb == "":
		return g.deleteTask(w, r, at)
	default:
		return fault.NoTaskEndpoint(r.Method, r.URL.Path)
	}
}

// place reads the path of a request. Like that of a call it cannot be left to the mux.
func (g *Gateway) place(r *http.Request, k kind) (place, error) {
	segments := strings.Split(r.URL.EscapedPath(), "/")[2:]
	if len(segments) < 2 || len(segments) > 4 {
		return place{}, fault.NoTaskEndpoint(r.Method, r.URL.Path)
	}
	for i := range segments {
		segment, err := name.UnescapeID(segments[i])
		if err != nil || segment == "" {
			return place{}, fault.NoTaskEndpoint(r.Method, r.URL.Path)
		}
		segments[i] = segment
	}
	typ := segments[0]
	at := place{kind: k, contract: g.directory.ContractOf(typ), id: segments[1]}
	if at.contract == nil {
		return place{}, g.unlessStarting(fault.UnknownType(typ, g.directory.TypeNames()))
	}
	if err := name.CheckID(at.id); err != nil {
		return place{}, fault.InvalidID(err.Error())
	}
	if len(segments) > 2 {
		at.name = segments[2]
		if err := task.CheckKey(at.taskKey()); err != nil {
			return place{}, fault.InvalidTask(err.Error())
		}
	}
	if len(segments) > 3 {
		at.verb = segments[3]
	}
	return at, nil
}

// taskKey names the task.
func (p place) taskKey() *runtimev1.TaskKey { return p.key(p.contract.Type, p.id, p.name) }

// hides reports whether a task calls a method that this gateway does not serve. Then it is
// as if there were no such task.
func (p place) hides(t *runtimev1.ScheduledTask) bool {
	method := p.contract.Method(t.GetTask().GetProcedure())
	return method != nil && method.Internal
}

// listTasks lists the tasks or the dead letters of an actor.
func (g *Gateway) listTasks(w http.ResponseWriter, r *http.Request, at place) error {
	asked, err := parseQuery(r, "dead", "name", "after", "limit")
	if err != nil {
		return err
	}
	req := &runtimev1.ListRequest{Type: at.contract.Type, Id: at.id, Kind: at.list, Dead: asked.dead, Name: asked.name, Limit: asked.limit}
	if asked.after != "" {
		req.After = at.key(at.contract.Type, at.id, asked.after)
	}
	page, last, err := g.visible(r.Context(), at, req)
	if err != nil {
		return err
	}
	if wantsBinary(r) {
		return g.answerBinary(w, page)
	}
	list := newListing(at.kind)
	if page.GetMore() {
		list.Next = cmp.Or(last.GetAlarm(), last.GetJob())
	}
	for _, t := range page.GetTasks() {
		list.add(at.contract, t)
	}
	return g.answerJSON(w, list)
}

// visible is a page of what this gateway shows, and the last key that was looked at. Only
// the last page may be empty.
func (g *Gateway) visible(ctx context.Context, at place, req *runtimev1.ListRequest) (*runtimev1.ListResponse, *runtimev1.TaskKey, error) {
	for {
		page, err := g.directory.Service().List(ctx, req)
		if err != nil {
			return nil, nil, err
		}
		shown := &runtimev1.ListResponse{More: page.GetMore()}
		for _, t := range page.GetTasks() {
			req.After = t.GetTask().GetKey()
			if !at.hides(t) {
				shown.Tasks = append(shown.Tasks, public(t))
			}
		}
		if len(shown.GetTasks()) > 0 || !page.GetMore() {
			return shown, req.GetAfter(), nil
		}
	}
}

// public is a task without what only the cluster is to know, such as its metadata.
func public(t *runtimev1.ScheduledTask) *runtimev1.ScheduledTask {
	task := t.GetTask()
	return &runtimev1.ScheduledTask{
		Task: &runtimev1.Task{Key: task.GetKey(), Procedure: task.GetProcedure(), Request: task.GetRequest(), Timing: task.GetTiming()},
		Due:  t.GetDue(), Scheduled: t.GetScheduled(), Failures: t.GetFailures(), Error: t.GetError(), Died: t.GetDied(),
	}
}

// getTask shows a task or a dead letter.
func (g *Gateway) getTask(w http.ResponseWriter, r *http.Request, at place) error {
	asked, err := parseQuery(r, "dead")
	if err != nil {
		return err
	}
	found, err := g.find(r.Context(), at, asked.dead)
	if err != nil {
		return err
	}
	if wantsBinary(r) {
		return g.answerBinary(w, &runtimev1.ListResponse{Tasks: []*runtimev1.ScheduledTask{public(found)}})
	}
	return g.answerJSON(w, taskOf(at.contract, found))
}

// describe names the task or dead letter of a place, for people.
func (p place) describe(dead bool) string { //nolint:revive // two kinds of what is listed
	if dead {
		return "dead letter of the " + p.word + " " + p.name
	}
	return p.word + " " + p.name
}

// find returns the task or dead letter of a place.
func (g *Gateway) find(ctx context.Context, at place, dead bool) (*runtimev1.ScheduledTask, error) {
	page, err := g.directory.Service().List(ctx, &runtimev1.ListRequest{
		Type: at.contract.Type, Id: at.id, Kind: at.list, Dead: dead, Name: at.name, Limit: 1,
	})
	if err != nil {
		return nil, err
	}
	if len(page.GetTasks()) == 0 || at.hides(page.GetTasks()[0]) {
		return nil, fault.UnknownTask(at.describe(dead), at.contract.Type+"/"+at.id)
	}
	return page.GetTasks()[0], nil
}

// deleteTask deletes a task or a dead letter.
func (g *Gateway) deleteTask(w http.ResponseWriter, r *http.Request, at place) error {
	asked, err := parseQuery(r, "dead")
	if err != nil {
		return err
	}
	change := &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Delete{Delete: at.taskKey()}}
	if asked.dead {
		change = &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Bury{Bury: at.taskKey()}}
	}
	return g.change(w, r, at, asked.dead, change)
}

// retryTask makes a dead letter a task again.
func (g *Gateway) retryTask(w http.ResponseWriter, r *http.Request, at place) error {
	if _, err := parseQuery(r); err != nil {
		return err
	}
	return g.change(w, r, at, true, &runtimev1.TaskChange{Change: &runtimev1.TaskChange_Revive{Revive: at.taskKey()}})
}

// change changes a task or dead letter that there is.
func (g *Gateway) change(w http.ResponseWriter, r *http.Request, at place, dead bool, change *runtimev1.TaskChange) error {
	if _, err := g.find(r.Context(), at, dead); err != nil {
		return err
	}
	if err := g.directory.Service().Change(r.Context(), change); err != nil {
		return err
	}
	return g.answerJSON(w, struct{}{})
}

// question is what the query of a request asks for.
type question struct {
	dead bool
	// name is that of the only task that is listed, after that of the one before the first.
	name, after string
	limit       uint32
}

// parseQuery reads the query of a request. A word that is not allowed is a mistake: a
// misspelt one would change another task than was meant.
func parseQuery(r *http.Request, allowed ...string) (question, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return question{}, malformed("the query of the path is not well formed")
	}
	for word, values := range query {
		switch {
		case !slices.Contains(allowed, word):
			return question{}, malformed("the query has " + strconv.Quote(word) + ", which means nothing here" + instead(allowed))
		case len(values) > 1:
			return question{}, malformed("the query has " + word + " twice")
		}
	}
	asked := question{name: query.Get("name"), after: query.Get("after")}
	if query.Has("dead") {
		if asked.dead, err = strconv.ParseBool(query.Get("dead")); err != nil {
			return question{}, malformed("dead is " + strconv.Quote(query.Get("dead")) + "; it is true or false")
		}
	}
	if query.Has("limit") {
		n, err := strconv.ParseUint(query.Get("limit"), 10, 32)
		if err != nil || n < 1 || n > maxListed {
			return question{}, malformed("limit is " + strconv.Quote(query.Get("limit")) + "; it is a number from 1 to " + strconv.Itoa(maxListed))
		}
		asked.limit = uint32(n)
	}
	return asked, nil
}

func instead(allowed []string) string {
	if len(allowed) == 0 {
		return ""
	}
	return "; it may have " + strings.Join(allowed, ", ")
}

func malformed(text string) error { return fault.Malformed(connect.CodeInvalidArgument, text) }

// readBody reads the body of a request, within the limits of the gateway.
func (g *Gateway) readBody(r *http.Request) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, malformed("the body is compressed, which is not read here; send it as it is")
	}
	body, err := io.ReadAll(r.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault.Unreadable(connect.Errorf(connect.CodeResourceExhausted, "the body is larger than %d bytes", tooLarge.Limit))
	}
	if err != nil {
		return nil, fault.Unreadable(err)
	}
	return body, nil
}

// binaryType is the content type of messages in the binary format.
const binaryType = "application/proto"

func wantsBinary(r *http.Request) bool { return r.Header.Get("Accept") == binaryType }

func (g *Gateway) answerBinary(w http.ResponseWriter, message proto.Message) error {
	body, err := proto.Marshal(message)
	if err != nil {
		return fault.Malformed(connect.CodeInternal, "the answer cannot be encoded: "+err.Error())
	}
	g.answer(w, binaryType, body)
	return nil
}

func (g *Gateway) answer(w http.ResponseWriter, contentType string, body []byte) {
	g.load.hold(len(body))
	defer g.load.give(len(body))
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // fails only where the client has gone
}
