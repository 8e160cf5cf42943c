package sdk_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/behaviour"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// wireless is a gateway that is reached without a network, in virtual time.
type wireless struct{ http.Handler }

func (w wireless) Do(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// later is a host and how its probe a is reached: from its process and through its gateway.
type later struct {
	*testing.T
	inside, outside behaviourv1francis.ProbeActorProxy
	gateway         wireless
}

func startLater(t *testing.T) later {
	t.Helper()
	host := francistest.Start(t)
	probes := &behaviour.Probes{Service: host.Service()}
	if err := behaviourv1francis.RegisterProbeActor(host, probes.New); err != nil {
		t.Fatal(err)
	}
	gateway := wireless{host.Gateway()}
	return later{
		t, behaviourv1francis.NewProbeActorProxy(host.Service(), "a"),
		behaviourv1francis.NewProbeActorProxy(sdk.Gateway(gateway, "http://gateway/"), "a"), gateway,
	}
}

// wantSum checks what the probe has added up by now.
func (l later) wantSum(want int64) {
	l.Helper()
	synctest.Wait()
	res, err := l.inside.Read(l.Context(), &behaviourv1.ReadRequest{})
	if err != nil || res.GetSum() != want {
		l.Errorf("the sum is %d (%v), want %d", res.GetSum(), err, want)
	}
}

// curl sends what people send, and wants this answer.
func (l later) curl(method, path, body, want string) {
	l.Helper()
	res, err := l.gateway.Do(httptest.NewRequestWithContext(l.Context(), method, path, strings.NewReader(body)))
	if err != nil {
		l.Fatal(err)
	}
	defer res.Body.Close()
	answer := new(strings.Builder)
	if err := res.Write(answer); err != nil {
		l.Fatal(err)
	}
	if _, got, _ := strings.Cut(answer.String(), "\r\n\r\n"); !strings.Contains(got, want) || want == "{}" && got != want {
		l.Errorf("%s %s is answered %s; want %s", method, path, got, want)
	}
}

func inBubble(t *testing.T, test func(l later)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(startLater(t)) })
}

// A job and an alarm that are set over HTTP are delivered when they are due.
func TestGatewayDeliversLater(t *testing.T) {
	inBubble(t, func(l later) {
		id, err := l.outside.EnqueueAdd(l.Context(), &behaviourv1.AddRequest{In: 1}, sdk.WithDelay(10*time.Second))
		if err != nil {
			l.Fatal(err)
		}
		if err := l.outside.ScheduleAdd(l.Context(), "hourly x", sdk.Every(time.Hour).After(time.Minute), &behaviourv1.AddRequest{In: 100}); err != nil {
			l.Fatal(err)
		}
		l.wantSum(0)
		for name, proxy := range map[string]behaviourv1francis.ProbeActorProxy{"inside": l.inside, "outside": l.outside} {
			job, err := proxy.Job(l.Context(), id)
			if err != nil || job.Job != id || job.Procedure != "/behaviour.v1.ProbeActor/Add" || job.When.String() != "after=10s" {
				l.Errorf("from %s the job is %+v, %v", name, job, err)
			}
			alarm, err := proxy.Alarm(l.Context(), "hourly x")
			if err != nil || alarm.Alarm != "hourly x" || alarm.When.String() != "after=1m; every=1h" || time.Until(alarm.Due) != time.Minute {
				l.Errorf("from %s the alarm is %+v, %v", name, alarm, err)
			}
		}
		time.Sleep(10 * time.Second)
		l.wantSum(1)
		time.Sleep(50 * time.Second)
		l.wantSum(101)
		time.Sleep(2 * time.Hour)
		l.wantSum(301)
		if err := l.outside.DeleteAlarm(l.Context(), "hourly x"); err != nil {
			l.Error(err)
		}
		time.Sleep(10 * time.Hour)
		l.wantSum(301)
		wantError(l.T, l.outside.DeleteAlarm(l.Context(), "hourly x"), connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TASK, sdk.OutcomeNothingHappened)
		_, err = l.outside.Job(l.Context(), id)
		wantError(l.T, err, connect.CodeNotFound, francisv1.Reason_REASON_UNKNOWN_TASK, sdk.OutcomeNothingHappened)
	})
}

// A job that is enqueued twice with a key takes effect once.
func TestGatewayKeyedJob(t *testing.T) {
	inBubble(t, func(l later) {
		enqueue := func(proxy behaviourv1francis.ProbeActorProxy) sdk.JobID {
			id, err := proxy.EnqueueAdd(l.Context(), &behaviourv1.AddRequest{In: 1}, sdk.WithIdempotencyKey("k"))
			if err != nil {
				l.Error(err)
			}
			return id
		}
		if one, other := enqueue(l.outside), enqueue(l.inside); one != other {
			l.Errorf("the same job has the ids %s and %s", one, other)
		}
		l.wantSum(1)
		enqueue(l.outside)
		l.wantSum(1)
	})
}

// A job that has died is listed, tried again and deleted through the gateway.
func TestGatewayDeadLetters(t *testing.T) {
	inBubble(t, func(l later) {
		fails := &behaviourv1.AddRequest{In: 1, Script: &behaviourv1.Script{Fail: "no"}}
		id, err := l.outside.EnqueueAdd(l.Context(), fails)
		if err != nil {
			l.Fatal(err)
		}
		if err := l.outside.ScheduleAdd(l.Context(), "x", sdk.When{}, fails); err != nil {
			l.Fatal(err)
		}
		letters := func() (names []string) {
			for letter, err := range l.outside.DeadLetters(l.Context()) {
				if err != nil {
					l.Fatal(err)
				}
				names = append(names, letter.Alarm+string(letter.Job))
				if letter.Failures != 5 || letter.Error == "" || letter.Died.IsZero() {
					l.Errorf("a dead letter is %+v", letter)
				}
			}
			return names
		}
		time.Sleep(time.Hour) // all of its attempts
		synctest.Wait()
		if got, want := letters(), []string{"x", string(id)}; !slices.Equal(got, want) {
			l.Errorf("dead are %v, want %v", got, want)
		}
		l.curl("GET", "/job/probe/a?dead=true", "", `"jobId":"`+string(id)+`","method":"add","data":{"in":"1","script":{"fail":"no"}}`)
		if err := l.outside.RetryDeadLetter(l.Context(), sdk.Task{Job: id}); err != nil {
			l.Error(err)
		}
		if err := l.outside.DeleteDeadLetter(l.Context(), sdk.Task{Alarm: "x"}); err != nil {
			l.Error(err)
		}
		if got := letters(); len(got) != 0 {
			l.Errorf("dead are %v", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := letters(); !slices.Equal(got, []string{string(id)}) {
			l.Errorf("dead are %v", got)
		}
	})
}

// What people write is delivered.
func TestGatewayForPeople(t *testing.T) {
	inBubble(t, func(l later) {
		l.curl("POST", "/alarm/probe/a/x", `{"method":"add","data":{"in":1},"dueTime":"10s","interval":"PT1M","ttl":"2m"}`, "{}")
		l.curl("GET", "/alarm/probe/a/x", "", `{"name":"x","method":"add","data":{"in":"1"},"dueTime":"2000-01-01T00:00:10Z","interval":"1m","until":"2000-01-01T00:02:00Z"}`)
		l.curl("POST", "/job/probe/a", `{"method":"add","data":{"in":"100"},"dueTime":"1h"}`, `{"jobId":"`)
		time.Sleep(30 * time.Minute)
		l.wantSum(2)
		time.Sleep(time.Hour)
		l.wantSum(102)
		l.curl("GET", "/alarm/probe/a", "", `{"alarms":[]}`)
		l.curl("GET", "/job/probe/a", "", `{"jobs":[]}`)
	})
}

// Nothing of what cannot be is stored.
func TestGatewayStoresNothingBad(t *testing.T) {
	inBubble(t, func(l later) {
		for name, test := range map[string]struct {
			path, body string
			text       string
		}{
			"another message": {"/job/probe/a", `{"method":"add","data":{"inn":1}}`, `unknown field \"inn\"`},
			"another id":      {"/alarm/probe/a/x", `{"method":"add","data":[]}`, "the request is no behaviour.v1.AddRequest"},
			"a view":          {"/alarm/probe/a/x", `{"method":"read"}`, "is a view"},
			"a past end":      {"/alarm/probe/a/x", `{"method":"add","ttl":"1999-01-01T00:00:00Z"}`, "it is never due"},
			"a bad cron":      {"/alarm/probe/a/x", `{"method":"add","interval":"61 * * * *"}`, "the cron expression"},
			"a bad zone":      {"/alarm/probe/a/x", `{"method":"add","interval":"@daily","timeZone":"Rome"}`, `time zone \"Rome\"`},
			"a far time":      {"/alarm/probe/a/x", `{"method":"add","dueTime":"9999-01-01T00:00:00Z"}`, "it must be from the year 1970 on and before 2200"},
			"a long jitter":   {"/alarm/probe/a/x", `{"method":"add","jitter":"2h"}`, "the jitter is 2h0m0s"},
		} {
			l.Log(name)
			l.curl("POST", test.path, test.body, `"code":"invalid_argument"`)
			l.curl("POST", test.path, test.body, test.text)
		}
		l.curl("GET", "/alarm/probe/a", "", `{"alarms":[]}`)
		l.curl("GET", "/job/probe/a", "", `{"jobs":[]}`)
		for name, when := range map[string]sdk.When{
			"cron":     sdk.Cron("61 * * * *", ""),
			"zone":     sdk.Cron("@daily", "Rome"),
			"interval": sdk.Every(0),
			"negative": sdk.After(-time.Second),
			"the end":  sdk.At(time.Now().Add(time.Hour)).Until(time.Now()),
		} {
			for from, proxy := range map[string]behaviourv1francis.ProbeActorProxy{"inside": l.inside, "outside": l.outside} {
				err := proxy.ScheduleAdd(context.WithoutCancel(l.Context()), "x", when, &behaviourv1.AddRequest{})
				if connect.CodeOf(err) != connect.CodeInvalidArgument {
					l.Errorf("%s from %s: %v", name, from, err)
				}
			}
		}
		l.curl("GET", "/alarm/probe/a", "", `{"alarms":[]}`)
	})
}

// What a header cannot say is refused as by a host, and does not become something else: an
// alarm without a name no job, and one without an expression none that is due at once.
func TestGatewayRefusesWhatIsLeftOut(t *testing.T) {
	inBubble(t, func(l later) {
		for name, test := range map[string]struct {
			alarm string
			when  sdk.When
			text  string
		}{
			"no name":       {"", sdk.Every(time.Hour), "the name of the alarm is empty"},
			"no expression": {"x", sdk.Cron("", ""), `the cron expression ""`},
		} {
			for from, proxy := range map[string]behaviourv1francis.ProbeActorProxy{"inside": l.inside, "outside": l.outside} {
				err := proxy.ScheduleAdd(l.Context(), test.alarm, test.when, &behaviourv1.AddRequest{In: 1})
				wantError(l.T, err, connect.CodeInvalidArgument, francisv1.Reason_REASON_INVALID_TASK, sdk.OutcomeNothingHappened)
				if err == nil || !strings.Contains(err.Error(), test.text) {
					l.Errorf("%s from %s: %v; want %s", name, from, err, test.text)
				}
			}
		}
		l.wantSum(0)
	})
}
