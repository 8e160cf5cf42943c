package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1connect"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/task"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// ledger is a directory of probes whose tasks are what the test puts there.
type ledger struct {
	actor.Caller

	contract *contract.Contract
	calls    []actor.Call
	changes  []*runtimev1.TaskChange
	lists    []*runtimev1.ListRequest
	stored   []*runtimev1.ScheduledTask
	err      error
}

func newLedger(t testing.TB) *ledger {
	t.Helper()
	read, problems := contract.Read(behaviourv1.File_behaviour_v1_behaviour_proto.Services().ByName("ProbeActor"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return &ledger{contract: read}
}

func (l *ledger) TypeNames() []string   { return []string{"probe"} }
func (l *ledger) Serving() bool         { return true }
func (l *ledger) Service() actor.Caller { return l }
func (l *ledger) ContractOf(typ string) *contract.Contract {
	if typ == l.contract.Type {
		return l.contract
	}
	return nil
}

func (l *ledger) InvokeEncoded(_ context.Context, call actor.Call) ([]byte, error) {
	l.calls = append(l.calls, call)
	return []byte("{}"), nil
}

// Invoke refuses views, as a host does.
func (l *ledger) Invoke(_ context.Context, call actor.Call) (proto.Message, error) {
	if call.View {
		return nil, fault.InvalidTask(call.Procedure + " is a view")
	}
	l.calls = append(l.calls, call)
	return nil, l.err
}

func (l *ledger) Change(_ context.Context, change *runtimev1.TaskChange) error {
	l.changes = append(l.changes, change)
	return l.err
}

func (l *ledger) List(_ context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	l.lists = append(l.lists, proto.CloneOf(req))
	page := &runtimev1.ListResponse{}
	for _, t := range l.stored {
		key := t.GetTask().GetKey()
		name := cmp.Or(key.GetAlarm(), key.GetJob())
		switch {
		case req.GetDead() != (t.GetDied() != nil), req.GetName() != "" && req.GetName() != name, req.GetId() != key.GetId(),
			(req.GetKind() == runtimev1.ListRequest_KIND_ALARMS) != (key.GetAlarm() != ""),
			req.GetAfter() != nil && name <= cmp.Or(req.GetAfter().GetAlarm(), req.GetAfter().GetJob()):
			continue
		case req.GetLimit() > 0 && len(page.Tasks) == int(req.GetLimit()):
			page.More = true
		default:
			page.Tasks = append(page.Tasks, t)
		}
	}
	return page, l.err
}

// nothing checks that nothing was stored or changed.
func (l *ledger) nothing(t *testing.T) {
	t.Helper()
	if len(l.calls)+len(l.changes) > 0 {
		t.Errorf("calls %+v and changes %v have left", l.calls, l.changes)
	}
}

func add(t testing.TB, in int64) []byte {
	t.Helper()
	encoded, err := proto.Marshal(&behaviourv1.AddRequest{In: in})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// send sends a request as a person does.
func send(l *ledger, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	New(l).ServeHTTP(w, r)
	return w
}

// Every protocol takes the header, and answers with an empty message and the id of a job.
func TestDeliverHeader(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]connecthttp.Option{
		"Connect":       nil,
		"Connect JSON":  {connecthttp.WithProtoJSON()},
		"gRPC":          {connecthttp.WithGRPC()},
		"gRPC JSON":     {connecthttp.WithGRPC(), connecthttp.WithProtoJSON()},
		"gRPC-Web":      {connecthttp.WithGRPCWeb()},
		"gRPC-Web JSON": {connecthttp.WithGRPCWeb(), connecthttp.WithProtoJSON()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			server := httptest.NewUnstartedServer(New(l))
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			t.Cleanup(server.Close)
			transport := &http.Transport{Protocols: server.Config.Protocols}
			t.Cleanup(transport.CloseIdleConnections)
			client := behaviourv1connect.NewProbeActorClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, server.URL, opts...)))

			ctx, info := connect.NewClientContext(t.Context())
			info.RequestHeader().Set("Francis-Actor-Id", "a")
			info.RequestHeader().Set("Francis-Deliver", "job; after=10s")
			reply, err := client.Add(ctx, &behaviourv1.AddRequest{In: 7})
			if err != nil || !proto.Equal(reply, &behaviourv1.AddResponse{}) {
				t.Fatalf("the answer is %v, %v", reply, err)
			}
			call := l.calls[0]
			if id := info.ResponseHeader().Get("Francis-Job-Id"); id != call.Later.Job || id == "" || call.Later.Alarm != "" {
				t.Errorf("the answer names the job %q, and enqueued is %+v", id, call.Later)
			}
			if !proto.Equal(call.Later.Timing, &runtimev1.Timing{First: &runtimev1.Timing_After{After: durationpb.New(10 * time.Second)}}) {
				t.Errorf("it is due %v", call.Later.Timing)
			}
			if call.Type != "probe" || call.ID != "a" || call.Procedure != "/behaviour.v1.ProbeActor/Add" || len(call.Body) == 0 || call.Codec == 0 {
				t.Errorf("the call is %+v", call)
			}

			ctx, info = connect.NewClientContext(t.Context())
			info.RequestHeader().Set("Francis-Actor-Id", "a")
			info.RequestHeader().Set("Francis-Deliver", "alarm; name=x")
			if _, err := client.Add(ctx, &behaviourv1.AddRequest{In: 7}); err != nil {
				t.Fatal(err)
			}
			if got := l.calls[1].Later; got.Alarm != "x" || got.Job != "" || info.ResponseHeader().Get("Francis-Job-Id") != "" {
				t.Errorf("scheduled is %+v, and the answer names the job %q", got, info.ResponseHeader().Get("Francis-Job-Id"))
			}
		})
	}
}

// People send the header too.
func TestDeliverHeaderOfInvoke(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	w := send(l, http.MethodPost, "/invoke/probe/a/add", `{"in":7}`, "Francis-Deliver", "job", "Idempotency-Key", "k")
	if want := task.JobID("probe", "a", "k"); w.Code != http.StatusOK || w.Body.String() != "{}" || w.Header().Get("Francis-Job-Id") != want {
		t.Errorf("%d %s, job %q; want the job %q", w.Code, w.Body, w.Header().Get("Francis-Job-Id"), want)
	}
	if call := l.calls[0]; call.Key != "k" || *call.Later != (actor.Later{}) || call.Codec != peerv1.Codec_CODEC_STRICT_JSON || string(call.Body) != `{"in":7}` {
		t.Errorf("the call is %+v, %+v", call, call.Later)
	}
	w = send(l, http.MethodPost, "/invoke/probe/a/add", `{"in":7}`, "Francis-Deliver", "job; id=mine")
	if w.Code != http.StatusOK || w.Header().Get("Francis-Job-Id") != "mine" || l.calls[1].Later.Job != "mine" {
		t.Errorf("%d %s, job %q; want the one that was named", w.Code, w.Body, w.Header().Get("Francis-Job-Id"))
	}
}

func TestDeliverHeaderRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path   string
		header []string
		text   string
	}{
		"empty":              {"/invoke/probe/a/add", []string{"Francis-Deliver", ""}, `the header Francis-Deliver: it begins with \"\"; write job or alarm, and then its parameters`},
		"an unknown kind":    {"/invoke/probe/a/add", []string{"Francis-Deliver", "now"}, `the header Francis-Deliver: it begins with \"now\"`},
		"an unknown word":    {"/invoke/probe/a/add", []string{"Francis-Deliver", "job; in=1s"}, `job has no parameter \"in\"`},
		"given twice":        {"/invoke/probe/a/add", []string{"Francis-Deliver", "job", "Francis-Deliver", "job; after=1s"}, "is given twice, with different values; send it once"},
		"an id and a key":    {"/invoke/probe/a/add", []string{"Francis-Deliver", "job; id=x", "Idempotency-Key", "k"}, "the job has an id and an idempotency key"},
		"a view":             {"/invoke/probe/a/read", []string{"Francis-Deliver", "job"}, "is a view"},
		"a malformed key":    {"/invoke/probe/a/add", []string{"Francis-Deliver", "job", "Idempotency-Key", "ü"}, "printable ASCII"},
		"of a Connect call":  {"/behaviour.v1.ProbeActor/Add", []string{"Francis-Deliver", "job;", "Francis-Actor-Id", "a", "Content-Type", "application/json"}, "is no parameter"},
		"a cron and a delay": {"/invoke/probe/a/add", []string{"Francis-Deliver", "job; cron=@daily; every=1h"}, "leave one of them out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			w := send(l, http.MethodPost, test.path, "{}", test.header...)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), test.text) || !strings.Contains(w.Body.String(), "invalid_argument") {
				t.Errorf("%d %s; want 400 and …%s…", w.Code, w.Body, test.text)
			}
			l.nothing(t)
		})
	}
}

// A GET reads, now: it is not made a job.
func TestDeliverHeaderOfGet(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	w := send(l, http.MethodGet, "/behaviour.v1.ProbeActor/Read?connect=v1&encoding=json&message=%7B%7D", "", "Francis-Deliver", "job", "Francis-Actor-Id", "a")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "is a view") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	l.nothing(t)
}

var nine = timestamppb.New(time.Date(2030, time.January, 31, 9, 0, 0, 0, time.UTC))

func TestSetTask(t *testing.T) {
	t.Parallel()
	at := &runtimev1.Timing_At{At: nine}
	after := func(d time.Duration) *runtimev1.Timing_After {
		return &runtimev1.Timing_After{After: durationpb.New(d)}
	}
	every := func(i *runtimev1.Interval) *runtimev1.Timing_Every { return &runtimev1.Timing_Every{Every: i} }
	for name, test := range map[string]struct {
		path, body string
		alarm      string
		data       string
		timing     *runtimev1.Timing
	}{
		"at once":        {path: "/alarm/probe/a/x", body: `{"method":"add","data":{"in":7}}`, alarm: "x", data: `{"in":7}`},
		"as declared":    {path: "/alarm/probe/a/x", body: `{"method":"Add"}`, alarm: "x"},
		"an escaped one": {path: "/alarm/probe/a/x%2Fy%20z", body: `{"method":"add"}`, alarm: "x/y z"},
		"a job":          {path: "/job/probe/a", body: `{"method":"add","dueTime":"10s"}`, timing: &runtimev1.Timing{First: after(10 * time.Second)}},
		"at a time":      {path: "/job/probe/a", body: `{"method":"add","dueTime":"2030-01-31T10:00:00+01:00"}`, timing: &runtimev1.Timing{First: at}},
		"an ISO delay":   {path: "/job/probe/a", body: `{"method":"add","dueTime":"PT90M"}`, timing: &runtimev1.Timing{First: after(90 * time.Minute)}},
		"every": {
			path: "/job/probe/a", body: `{"method":"add","interval":"1h30m"}`,
			timing: &runtimev1.Timing{Repeat: every(&runtimev1.Interval{Time: durationpb.New(90 * time.Minute)})},
		},
		"everything": {
			path: "/alarm/probe/a/x", alarm: "x",
			body: `{"method":"add","dueTime":"5s","interval":"P1D","timeZone":"Europe/Rome","ttl":"2030-01-31T09:00:00Z","jitter":"1m","missed":"skip"}`,
			timing: &runtimev1.Timing{
				First: after(5 * time.Second), Repeat: every(&runtimev1.Interval{Days: 1, Time: &durationpb.Duration{}, TimeZone: "Europe/Rome"}),
				Until: nine, Jitter: durationpb.New(time.Minute), Missed: runtimev1.Missed_MISSED_SKIP,
			},
		},
		"cron": {
			path: "/alarm/probe/a/x", alarm: "x", body: `{"method":"add","interval":"0 9 * * *","timeZone":"Europe/Rome"}`,
			timing: &runtimev1.Timing{Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: "0 9 * * *", TimeZone: "Europe/Rome"}}},
		},
		"a word": {
			path: "/alarm/probe/a/x", alarm: "x", body: `{"method":"add","interval":"@daily"}`,
			timing: &runtimev1.Timing{Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: "@daily"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			w := send(l, http.MethodPost, test.path, test.body)
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || len(l.calls) != 1 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			call := l.calls[0]
			if call.Type != "probe" || call.ID != "a" || call.Procedure != "/behaviour.v1.ProbeActor/Add" || call.Codec != peerv1.Codec_CODEC_STRICT_JSON || string(call.Body) != test.data {
				t.Errorf("the call is %+v with %s", call, call.Body)
			}
			if call.Later.Alarm != test.alarm || !proto.Equal(call.Later.Timing, test.timing) {
				t.Errorf("it is set as %+v", call.Later)
			}
			want := "{}"
			if test.alarm == "" {
				want = `{"jobId":"` + call.Later.Job + `"}`
			}
			if w.Body.String() != want || (call.Later.Job == "") != (test.alarm != "") {
				t.Errorf("the answer is %s, want %s", w.Body, want)
			}
		})
	}
}

// A time to live counts from now.
func TestSetTaskTTL(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	began := time.Now()
	send(l, http.MethodPost, "/job/probe/a", `{"method":"add","ttl":"1h"}`)
	if until := l.calls[0].Later.Timing.GetUntil().AsTime(); until.Before(began.Add(time.Hour)) || until.After(time.Now().Add(time.Hour)) {
		t.Errorf("it ends at %v", until)
	}
}

func TestSetKeyedJob(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	w := send(l, http.MethodPost, "/job/probe/a", `{"method":"add"}`, "Idempotency-Key", "k")
	if want := `{"jobId":"` + task.JobID("probe", "a", "k") + `"}`; w.Body.String() != want || l.calls[0].Key != "k" || l.calls[0].Later.Job != "" {
		t.Errorf("%s and %+v, want %s", w.Body, l.calls[0].Later, want)
	}
}

func TestSetTaskRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path, body string
		header     []string
		status     int
		text       string
	}{
		"no body":            {"/job/probe/a", ``, nil, 400, `the body is not as {\"method\":\"…\",\"data\":{…},\"dueTime\":\"10s\"}: EOF`},
		"no JSON":            {"/job/probe/a", `method=add`, nil, 400, "invalid character"},
		"a list":             {"/job/probe/a", `[]`, nil, 400, "the body is not as"},
		"two bodies":         {"/job/probe/a", `{"method":"add"}{}`, nil, 400, "the body goes on after its end"},
		"an unknown field":   {"/job/probe/a", `{"method":"add","due":"1s"}`, nil, 400, `unknown field \"due\"`},
		"no method":          {"/job/probe/a", `{}`, nil, 400, "the body names no method"},
		"an unknown method":  {"/job/probe/a", `{"method":"ad"}`, nil, 501, `has no method \"ad\"`},
		"an internal method": {"/job/probe/a", `{"method":"hidden"}`, nil, 501, `has no method \"hidden\"`},
		"a view":             {"/job/probe/a", `{"method":"read"}`, nil, 400, "is a view"},
		"a bad delay":        {"/job/probe/a", `{"method":"add","dueTime":"soon"}`, nil, 400, `the duration \"soon\" is none`},
		"a bad time":         {"/job/probe/a", `{"method":"add","dueTime":"2030-13-01T00:00:00Z"}`, nil, 400, "is not as RFC 3339 writes it"},
		"a bad interval":     {"/job/probe/a", `{"method":"add","interval":"P1X"}`, nil, 400, `the interval \"P1X\"`},
		"a short interval":   {"/job/probe/a", `{"method":"add","interval":"1ms"}`, nil, 400, `the interval is 1ms; it must be between 1s`},
		"a bad ttl":          {"/job/probe/a", `{"method":"add","ttl":"x"}`, nil, 400, `the duration \"x\" is none`},
		"a zone alone":       {"/job/probe/a", `{"method":"add","timeZone":"Europe/Rome"}`, nil, 400, "a time zone is given without an interval"},
		"bad missed":         {"/job/probe/a", `{"method":"add","missed":"x"}`, nil, 400, "it is coalesce, skip or catch-up"},
		"an unknown type":    {"/job/prob/a", `{"method":"add"}`, nil, 404, `no host serves the actor type \"prob\"`},
		"a bad id":           {"/job/probe/%2e", `{"method":"add"}`, nil, 400, "is no valid path segment"},
		"a bad name":         {"/alarm/probe/a/%00", `{"method":"add"}`, nil, 400, "has a control character"},
		"a name too long":    {"/alarm/probe/a/" + strings.Repeat("x", 129), `{"method":"add"}`, nil, 400, "129 bytes; at most 128"},
		"an alarm with none": {"/alarm/probe/a", `{"method":"add"}`, nil, 501, "there is no endpoint POST /alarm/probe/a; there are POST /alarm/{type}/{id}/{name}"},
		"a job with a name":  {"/job/probe/a/x", `{"method":"add"}`, nil, 501, "there is no endpoint POST /job/probe/a/x"},
		"a slash at the end": {"/job/probe/a/", `{"method":"add"}`, nil, 501, "there is no endpoint"},
		"a path too long":    {"/job/probe/a/x/retry/y", `{"method":"add"}`, nil, 501, "there is no endpoint"},
		"a query":            {"/job/probe/a?after=1", `{"method":"add"}`, nil, 400, `the query has \"after\", which means nothing here`},
		"a malformed key":    {"/job/probe/a", `{"method":"add"}`, []string{"Idempotency-Key", "ü"}, 400, "printable ASCII"},
		"a compressed body":  {"/job/probe/a", `{"method":"add"}`, []string{"Content-Encoding", "gzip"}, 400, "the body is compressed"},
		"a body too large":   {"/job/probe/a", `{"method":"` + strings.Repeat("x", maxBody), nil, 429, "the body is larger than"},
		"another verb":       {"/alarm/probe/a/x/delete", `{}`, nil, 501, "there is no endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			w := send(l, http.MethodPost, test.path, test.body, test.header...)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %s; want %d and …%s…", w.Code, w.Body, test.status, test.text)
			}
			l.nothing(t)
		})
	}
}

// scheduled is a task of the probe a that adds.
func scheduled(t testing.TB, key *runtimev1.TaskKey) *runtimev1.ScheduledTask {
	return &runtimev1.ScheduledTask{
		Task: &runtimev1.Task{
			Key: key, Procedure: "/behaviour.v1.ProbeActor/Add", Request: add(t, 7),
			Metadata: map[string]string{"tenant": "secret"}, IdempotencyKey: "secret",
		},
		Revision: 3, Due: nine, Scheduled: nine,
	}
}

// store fills a ledger: two alarms and one that is internal, two jobs, and a dead letter of
// each.
func (l *ledger) store(t testing.TB) *ledger {
	daily := scheduled(t, alarmKey("probe", "a", "daily"))
	daily.Task.Timing = &runtimev1.Timing{
		Repeat: &runtimev1.Timing_Cron{Cron: &runtimev1.Cron{Expression: "0 9 * * *", TimeZone: "Europe/Rome"}},
		Until:  nine, Jitter: durationpb.New(time.Minute), Missed: runtimev1.Missed_MISSED_SKIP,
	}
	hidden := scheduled(t, alarmKey("probe", "a", "hidden"))
	hidden.Task.Procedure = "/behaviour.v1.ProbeActor/Hidden"
	failing := scheduled(t, jobKey("probe", "a", "1"))
	failing.Failures, failing.Error = 2, "no"
	gone := scheduled(t, jobKey("probe", "a", "2"))
	gone.Task.Procedure = "/behaviour.v1.ProbeActor/Gone"
	dead := scheduled(t, jobKey("probe", "a", "dead"))
	dead.Died, dead.Error, dead.Failures = nine, "no", 5
	deadAlarm := scheduled(t, alarmKey("probe", "a", "x"))
	deadAlarm.Died = nine
	l.stored = []*runtimev1.ScheduledTask{daily, hidden, scheduled(t, alarmKey("probe", "a", "x/y")), deadAlarm, failing, gone, dead}
	return l
}

const (
	dailyJSON = `{"name":"daily","method":"add","data":{"in":"7"},"dueTime":"2030-01-31T09:00:00Z","interval":"0 9 * * *","timeZone":"Europe/Rome","until":"2030-01-31T09:00:00Z","jitter":"1m","missed":"skip"}`
	slashJSON = `{"name":"x/y","method":"add","data":{"in":"7"},"dueTime":"2030-01-31T09:00:00Z"}`
	oneJSON   = `{"jobId":"1","method":"add","data":{"in":"7"},"dueTime":"2030-01-31T09:00:00Z","failures":2,"error":"no"}`
	goneJSON  = `{"jobId":"2","method":"/behaviour.v1.ProbeActor/Gone","request":"CAc=","dueTime":"2030-01-31T09:00:00Z"}`
	deadJSON  = `{"jobId":"dead","method":"add","data":{"in":"7"},"dueTime":"2030-01-31T09:00:00Z","failures":5,"error":"no","died":"2030-01-31T09:00:00Z"}`
)

// What people see, to the byte.
func TestLists(t *testing.T) {
	t.Parallel()
	l := newLedger(t).store(t)
	for path, want := range map[string]string{
		"/alarm/probe/a":                     `{"alarms":[` + dailyJSON + `,` + slashJSON + `]}`,
		"/alarm/probe/a?limit=1":             `{"alarms":[` + dailyJSON + `],"next":"daily"}`,
		"/alarm/probe/a?limit=2":             `{"alarms":[` + dailyJSON + `],"next":"hidden"}`,
		"/alarm/probe/a?after=hidden":        `{"alarms":[` + slashJSON + `]}`,
		"/alarm/probe/a?name=daily":          `{"alarms":[` + dailyJSON + `]}`,
		"/alarm/probe/a?after=daily&limit=1": `{"alarms":[` + slashJSON + `]}`, // the one between is hidden
		"/alarm/probe/nobody":                `{"alarms":[]}`,
		"/job/probe/nobody":                  `{"jobs":[]}`,
		"/alarm/probe/a/daily":               dailyJSON,
		"/alarm/probe/a/x%2Fy":               slashJSON,
		"/job/probe/a":                       `{"jobs":[` + oneJSON + `,` + goneJSON + `]}`,
		"/job/probe/a?dead=true":             `{"jobs":[` + deadJSON + `]}`,
		"/job/probe/a?dead=false&limit=1":    `{"jobs":[` + oneJSON + `],"next":"1"}`,
		"/job/probe/a/1":                     oneJSON,
		"/job/probe/a/dead?dead=true":        deadJSON,
	} {
		w := send(l, http.MethodGet, path, "")
		if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d\n%s\nwant\n%s", path, w.Code, w.Body, want)
		}
	}
	l.nothing(t)
}

// Programs read the same in the binary format, without what only the cluster is to know.
func TestListsInBinary(t *testing.T) {
	t.Parallel()
	l := newLedger(t).store(t)
	for path, want := range map[string][]string{
		"/alarm/probe/a": {"daily", "x/y"}, "/job/probe/a": {"1", "2"}, "/job/probe/a/1": {"1"}, "/job/probe/a?name=nope": nil,
	} {
		w := send(l, http.MethodGet, path, "", "Accept", "application/proto")
		page := &runtimev1.ListResponse{}
		if err := proto.Unmarshal(w.Body.Bytes(), page); err != nil || w.Header().Get("Content-Type") != "application/proto" {
			t.Fatalf("%s: %d %s: %v", path, w.Code, w.Body, err)
		}
		var got []string
		for _, task := range page.GetTasks() {
			got = append(got, cmp.Or(task.GetTask().GetKey().GetAlarm(), task.GetTask().GetKey().GetJob()))
			if len(task.GetTask().GetRequest()) == 0 || strings.Contains(task.String(), "secret") {
				t.Errorf("%s has %v", path, task)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s lists %v, want %v", path, got, want)
		}
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	alarm := func(name string) *runtimev1.TaskKey { return alarmKey("probe", "a", name) }
	job := func(id string) *runtimev1.TaskKey { return jobKey("probe", "a", id) }
	for request, want := range map[string]*runtimev1.TaskChange{
		"DELETE /alarm/probe/a/x%2Fy":       {Change: &runtimev1.TaskChange_Delete{Delete: alarm("x/y")}},
		"DELETE /alarm/probe/a/x?dead=true": {Change: &runtimev1.TaskChange_Bury{Bury: alarm("x")}},
		"POST /alarm/probe/a/x/retry":       {Change: &runtimev1.TaskChange_Revive{Revive: alarm("x")}},
		"DELETE /job/probe/a/1":             {Change: &runtimev1.TaskChange_Delete{Delete: job("1")}},
		"DELETE /job/probe/a/dead?dead=1":   {Change: &runtimev1.TaskChange_Bury{Bury: job("dead")}},
		"POST /job/probe/a/dead/retry":      {Change: &runtimev1.TaskChange_Revive{Revive: job("dead")}},
	} {
		l := newLedger(t).store(t)
		method, path, _ := strings.Cut(request, " ")
		if w := send(l, method, path, ""); w.Code != http.StatusOK || w.Body.String() != "{}" {
			t.Errorf("%s: %d %s", request, w.Code, w.Body)
		}
		if len(l.changes) != 1 || !proto.Equal(l.changes[0], want) {
			t.Errorf("%s changes %v, want %v", request, l.changes, want)
		}
	}
}

func TestTasksRefused(t *testing.T) {
	t.Parallel()
	for request, want := range map[string]struct {
		status int
		text   string
	}{
		"GET /job/probe/a/nope":               {404, `probe/a has no job nope`},
		"GET /alarm/probe/a/hidden":           {404, `probe/a has no alarm hidden`},
		"DELETE /alarm/probe/a/hidden":        {404, `probe/a has no alarm hidden`},
		"DELETE /job/probe/a/dead":            {404, `probe/a has no job dead`},
		"DELETE /job/probe/a/1?dead=true":     {404, `probe/a has no dead letter of the job 1`},
		"DELETE /job/probe/a/1?Dead=true":     {400, `the query has \"Dead\", which means nothing here; it may have dead`},
		"DELETE /job/probe/a/1?dead=x":        {400, `dead is \"x\"; it is true or false`},
		"DELETE /job/probe/a/1?dead=1&dead=0": {400, `the query has dead twice`},
		"DELETE /job/probe/a":                 {501, "there is no endpoint DELETE /job/probe/a"},
		"POST /job/probe/a/1/retry":           {404, `probe/a has no dead letter of the job 1`},
		"POST /job/probe/a/dead/retry?dead=1": {400, "which means nothing here"},
		"GET /job/probe/a/dead/retry":         {501, "there is no endpoint GET"},
		"PUT /alarm/probe/a/x":                {501, "there is no endpoint PUT"},
		"GET /job/probe/a?limit=0":            {400, `limit is \"0\"; it is a number from 1 to 1000`},
		"GET /job/probe/a?limit=1001":         {400, `limit is \"1001\"`},
		"GET /job/probe/a?limit=x":            {400, `limit is \"x\"`},
		"GET /job/probe/a?after=%zz":          {400, "the query of the path is not well formed"},
		"GET /job/prob/a":                     {404, `no host serves the actor type \"prob\"`},
		"GET /job/probe/%20":                  {400, "starts or ends with white space"},
	} {
		l := newLedger(t).store(t)
		method, path, _ := strings.Cut(request, " ")
		w := send(l, method, path, "")
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.text) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s\nwant %d and …%s…", request, w.Code, w.Body, want.status, want.text)
		}
		l.nothing(t)
	}
}

// What a host answers reaches people, with its advice.
func TestTasksFail(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"GET /job/probe/a", "GET /job/probe/a/1", "DELETE /job/probe/a/1", "POST /job/probe/a"} {
		l := newLedger(t).store(t)
		l.err = fault.Overloaded()
		method, path, _ := strings.Cut(request, " ")
		w := send(l, method, path, `{"method":"add"}`)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), francisv1.Outcome_OUTCOME_NOTHING_HAPPENED.String()) {
			t.Errorf("%s: %d %s, Retry-After %q", request, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
	}
}

// Bodies and answers are counted while they are under way, and given back.
func TestTasksCount(t *testing.T) {
	t.Parallel()
	l := newLedger(t).store(t)
	g := New(l)
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPost, "/job/probe/a", strings.NewReader(`{"method":"add"}`)),
		httptest.NewRequest(http.MethodGet, "/job/probe/a", http.NoBody),
	} {
		g.ServeHTTP(httptest.NewRecorder(), r)
		if requests, bytes := g.load.requests.Load(), g.load.bytes.Load(); requests != 0 || bytes != 0 {
			t.Errorf("after %s %d requests of %d bytes are under way", r.Method, requests, bytes)
		}
	}
	g.load.bytes.Add(1 << 40)
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/job/probe/a", strings.NewReader(`{"method":"add"}`)))
	if w.Code != http.StatusTooManyRequests || len(l.calls) != 1 {
		t.Errorf("over the limit it answers %d %s", w.Code, w.Body)
	}
}

// FuzzTasks sends anything to anywhere below /alarm and /job, with any header
// Francis-Deliver: it is answered with JSON, and never with a fault of the server.
func FuzzTasks(f *testing.F) {
	for _, seed := range []struct{ method, path, header, body string }{
		{"POST", "/alarm/probe/a/x", "", `{"method":"add","data":{"in":1},"dueTime":"10s","interval":"P1D","ttl":"24h","timeZone":"Europe/Rome"}`},
		{"POST", "/job/probe/a", "", `{"method":"add","interval":"0 9 * * *"}`},
		{"GET", "/job/probe/a?dead=true&after=x&limit=3", "", ""},
		{"DELETE", "/job/probe/a/1", "", ""},
		{"POST", "/job/probe/a/%2F/retry", "", ""},
		{"GET", "/alarm/probe/%2e%2e/%00", "", ""},
		{"POST", "/invoke/probe/a/add", `alarm; name=x; cron="0 9 * * *"; missed=skip`, `{}`},
		{"POST", "/invoke/probe/a/add", "job; after=P1DT2H; id=%20x", `{}`},
		{"POST", "/behaviour.v1.ProbeActor/Add", "job", `{}`},
	} {
		f.Add(seed.method, seed.path, seed.header, seed.body)
	}
	handler := New(newLedger(f).store(f))
	f.Fuzz(func(t *testing.T, method, path, header, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://host"+path, io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Skip() // no server sees it
		}
		r.Header.Set("Francis-Deliver", header)
		r.Header.Set("Francis-Actor-Id", "a")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusTooManyRequests, http.StatusNotImplemented:
			if method != http.MethodHead && !json.Valid(w.Body.Bytes()) && strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
				t.Errorf("%s %s is answered %d %q", method, path, w.Code, w.Body)
			}
		case http.StatusTemporaryRedirect, http.StatusMovedPermanently, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		default:
			t.Errorf("%s %s with %q and %q: status %d, %s", method, path, header, body, w.Code, w.Body)
		}
	})
}
