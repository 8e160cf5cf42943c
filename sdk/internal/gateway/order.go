package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/dynamicpb"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
	"github.com/francis-actors/francis/sdk/internal/codec"
	"github.com/francis-actors/francis/sdk/internal/deliver"
)

// order is what people write to set a task.
type order struct {
	// Method is called, by its name in the contract or with a small first letter; Data is its
	// request.
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data"`
	// DueTime is the first time, or the delay until then.
	DueTime string `json:"dueTime"`
	// Interval is a duration or a cron expression, in the time zone.
	Interval string `json:"interval"`
	TimeZone string `json:"timeZone"`
	// TTL is the end, or how long it is until then.
	TTL    string `json:"ttl"`
	Jitter string `json:"jitter"`
	Missed string `json:"missed"`
}

// parseOrder reads the body of a request.
func parseOrder(body []byte) (order, error) {
	var o order
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return order{}, malformed(`the body is not as {"method":"…","data":{…},"dueTime":"10s"}: ` + strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return order{}, malformed("the body goes on after its end")
	}
	if o.Method == "" {
		return order{}, malformed("the body names no method")
	}
	return o, nil
}

// timing is when the task is due.
func (o order) timing(now time.Time) (*runtimev1.Timing, error) {
	words := deliver.Words{Zone: o.TimeZone, Jitter: o.Jitter, Missed: o.Missed}
	if isTime(o.DueTime) {
		words.At = o.DueTime
	} else {
		words.After = o.DueTime
	}
	if strings.ContainsAny(o.Interval, " @") {
		words.Cron = o.Interval
	} else {
		words.Every = o.Interval
	}
	words.Until = o.TTL
	if o.TTL != "" && !isTime(o.TTL) {
		ttl, err := deliver.ParseDuration(o.TTL)
		if err != nil {
			return nil, err
		}
		words.Until = now.Add(ttl).UTC().Format(time.RFC3339Nano)
	}
	return words.Timing()
}

// isTime tells a time from a duration.
func isTime(s string) bool {
	return len(s) > 4 && s[4] == '-' && strings.Trim(s[:4], "0123456789") == ""
}

// setTask sets an alarm, or enqueues a job.
func (g *Gateway) setTask(w http.ResponseWriter, r *http.Request, at place) error {
	if _, err := parseQuery(r); err != nil {
		return err
	}
	body, err := g.readBody(r)
	if err != nil {
		return err
	}
	if err := g.load.take(len(body)); err != nil {
		return err
	}
	defer g.load.give(len(body))
	call, err := orderedCall(r, at, body)
	if err != nil {
		return err
	}
	if _, err := g.directory.Service().Invoke(r.Context(), call); err != nil {
		return err
	}
	return g.answerJSON(w, ordered{jobID(call)})
}

// ordered is the answer to who has set a task.
type ordered struct {
	JobID string `json:"jobId,omitempty"`
}

// orderedCall is the call that a request orders.
func orderedCall(r *http.Request, at place, body []byte) (actor.Call, error) {
	o, err := parseOrder(body)
	if err != nil {
		return actor.Call{}, err
	}
	method, ok := methodNamed(at.contract, o.Method)
	if !ok {
		return actor.Call{}, fault.UnknownMethod(at.contract.Type, o.Method)
	}
	timing, err := o.timing(time.Now())
	if err != nil {
		return actor.Call{}, fault.InvalidTask(err.Error())
	}
	key, err := headerKey(r.Header)
	if err != nil {
		return actor.Call{}, err
	}
	later := &actor.Later{Timing: timing, Alarm: at.name}
	nameJob(later, key)
	return actor.Call{
		Type: at.contract.Type, ID: at.id, Procedure: method.Procedure, View: method.View,
		Codec: peerv1.Codec_CODEC_STRICT_JSON, Body: o.Data, Key: key, Later: later,
	}, nil
}

// listing is a page of a list, as people see it: of what is listed, which may be nothing.
type listing struct {
	Alarms []listed `json:"alarms,omitzero"`
	Jobs   []listed `json:"jobs,omitzero"`
	// Next is what the query after of the next page is; empty for the last page.
	Next string `json:"next,omitempty"`
}

// newListing is an empty page of a kind.
func newListing(k kind) listing {
	if k.named {
		return listing{Alarms: []listed{}}
	}
	return listing{Jobs: []listed{}}
}

func (l *listing) add(c *contract.Contract, t *runtimev1.ScheduledTask) {
	if shown := taskOf(c, t); shown.Name != "" {
		l.Alarms = append(l.Alarms, shown)
	} else {
		l.Jobs = append(l.Jobs, shown)
	}
}

// listed is a task as people see it.
type listed struct {
	Name   string          `json:"name,omitempty"`
	JobID  string          `json:"jobId,omitempty"`
	Method string          `json:"method"`
	Data   json.RawMessage `json:"data,omitempty"`
	// Request is the encoded request where the contract no longer knows the method.
	Request []byte `json:"request,omitempty"`
	// DueTime is when it is delivered next.
	DueTime  time.Time  `json:"dueTime"`
	Interval string     `json:"interval,omitempty"`
	TimeZone string     `json:"timeZone,omitempty"`
	Until    string     `json:"until,omitempty"`
	Jitter   string     `json:"jitter,omitempty"`
	Missed   string     `json:"missed,omitempty"`
	Failures uint32     `json:"failures,omitempty"`
	Error    string     `json:"error,omitempty"`
	Died     *time.Time `json:"died,omitempty"`
}

func taskOf(c *contract.Contract, t *runtimev1.ScheduledTask) listed {
	words := deliver.WordsOf(t.GetTask().GetTiming())
	shown := listed{
		Name: t.GetTask().GetKey().GetAlarm(), JobID: t.GetTask().GetKey().GetJob(),
		DueTime: t.GetDue().AsTime(), Interval: words.Every + words.Cron, TimeZone: words.Zone, Until: words.Until,
		Jitter: words.Jitter, Missed: words.Missed, Failures: t.GetFailures(), Error: t.GetError(),
	}
	if t.GetDied() != nil {
		died := t.GetDied().AsTime()
		shown.Died = &died
	}
	shown.show(c.Method(t.GetTask().GetProcedure()), t.GetTask())
	return shown
}

// show adds what a task calls: in the words of its contract, where that knows the method.
func (l *listed) show(method *contract.Method, task *runtimev1.Task) {
	l.Method, l.Request = task.GetProcedure(), task.GetRequest()
	if method == nil {
		return
	}
	l.Method = lowerFirst(string(method.Desc.Name()))
	request := dynamicpb.NewMessage(method.Desc.Input())
	if err := codec.Unmarshal(peerv1.Codec_CODEC_PROTO, task.GetRequest(), request); err != nil {
		return
	}
	if data, err := codec.Marshal(peerv1.Codec_CODEC_JSON, request); err == nil {
		l.Data, l.Request = data, nil
	}
}

func (g *Gateway) answerJSON(w http.ResponseWriter, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fault.Malformed(connect.CodeInternal, "the answer cannot be encoded: "+err.Error())
	}
	g.answer(w, "application/json", body)
	return nil
}
