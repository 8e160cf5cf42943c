package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
)

const (
	form     = "application/x-www-form-urlencoded" // what curl --data says
	idHeader = "Francis-Actor-Id"
)

// The walkthrough: what curl sends, and the exact bytes that it shows.
func TestInvokeWalkthrough(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	increment := request{path: "/invoke/myactor/id1/increment", header: map[string]string{"Content-Type": form}, body: `{"In": 42}`}
	for _, version := range []string{"h1", "h2c"} {
		increment.path = "/invoke/myactor/" + version + "/increment"
		s.sendOver(version, increment).wantBody(t, `{"Out":42}`)
		a := s.sendOver(version, increment)
		a.wantBody(t, `{"Out":84}`)
		if got := a.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("content type %q, want JSON", got)
		}
		s.sendOver(version, request{path: "/invoke/myactor/" + version + "/get", body: "{}"}).wantBody(t, `{"Out":84}`)
	}
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	add, err := proto.Marshal(&behaviourv1.AddRequest{In: 7})
	if err != nil {
		t.Fatal(err)
	}
	sum7, err := proto.Marshal(&behaviourv1.AddResponse{Sum: 7})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		request
		want string
	}{
		"lowerCamel":                   {request{path: "/invoke/probe/lower/add", body: `{"in": 7}`}, `{"sum":"7"}`},
		"as in the contract":           {request{path: "/invoke/probe/upper/Add", body: `{"in": 7}`}, `{"sum":"7"}`},
		"JSON":                         {request{path: "/invoke/probe/json/add", body: `{"in":"7"}`, header: map[string]string{"Content-Type": "application/json"}}, `{"sum":"7"}`},
		"JSON of a charset":            {request{path: "/invoke/probe/charset/add", body: `{"in":"7"}`, header: map[string]string{"Content-Type": "application/json; charset=utf-8"}}, `{"sum":"7"}`},
		"form":                         {request{path: "/invoke/probe/form/add", body: `{"in": 7}`, header: map[string]string{"Content-Type": form}}, `{"sum":"7"}`},
		"text":                         {request{path: "/invoke/probe/text/add", body: `{"in": 7}`, header: map[string]string{"Content-Type": "text/plain"}}, `{"sum":"7"}`},
		"protobuf":                     {request{path: "/invoke/probe/proto/add", body: string(add), header: map[string]string{"Content-Type": "application/proto"}}, string(sum7)},
		"a query, which means nothing": {request{path: "/invoke/probe/query/add?in=3", body: `{"in": 7}`}, `{"sum":"7"}`},
		"a header that agrees":         {request{path: "/invoke/probe/agree/add", body: `{"in": 7}`, header: map[string]string{idHeader: "agree"}}, `{"sum":"7"}`},
		"a header that agrees escaped": {request{path: "/invoke/probe/a%2Fg/add", body: `{"in": 7}`, header: map[string]string{idHeader: "a%2Fg"}}, `{"sum":"7"}`},
		"an empty header":              {request{path: "/invoke/probe/emptyheader/add", body: `{"in": 7}`, header: map[string]string{idHeader: ""}}, `{"sum":"7"}`},
		"an id field is filled":        {request{path: "/invoke/relay/r1/send", body: `{"probe":"filled","in":7}`}, `{"relay":"r1","sum":"7"}`},
		"an id field that agrees":      {request{path: "/invoke/relay/r1/send", body: `{"relay":"r1","probe":"agreed","in":7}`}, `{"relay":"r1","sum":"7"}`},
		"a number for an id":           {request{path: "/invoke/relay/17/number", body: `{}`}, `{"number":"17"}`},
		"a view":                       {request{path: "/invoke/myactor/none/get", body: `{}`}, `{"Out":0}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.send(test.request).wantBody(t, test.want)
		})
	}
}

// An id reaches the actor whole, through the path and through the header.
func TestInvokeIDs(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for escaped, id := range map[string]string{
		"id1":                      "id1",
		"a%2Fb":                    "a/b",
		"a%2F%2Fb":                 "a//b",
		"a%2F..%2Fb":               "a/../b",
		"%2F":                      "/",
		"%E6%97%A5%E6%9C%AC":       "日本",
		"x%2Fy%20z":                "x/y z",
		"%252F":                    "%2F",
		"a+b":                      "a+b",
		"...":                      "...",
		"a%3Fb%23c":                "a?b#c",
		"id:1;v=2,3":               "id:1;v=2,3",
		strings.Repeat("x", 512):   strings.Repeat("x", 512),
		"%F0%9F%90%88":             "🐈",
		"a%20%20b":                 "a  b",
		"caf%C3%A9":                "café",
		"%22quoted%22%5C":          `"quoted"\`,
		"{type}":                   "{type}",
		"http:%2F%2Fhost%2F%2e%2e": "http://host/..",
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			s := site{t, s.host, s.url, s.clients}
			s.send(request{path: "/invoke/probe/" + escaped + "/add", body: `{"in": 1}`}).wantBody(t, `{"sum":"1"}`)
			s.send(request{
				path: "/behaviour.v1.ProbeActor/Add", body: `{"in": 1}`,
				header: map[string]string{"Content-Type": "application/json", idHeader: escaped},
			}).wantBody(t, `{"sum":"2"}`)
			s.wantSum(id, 2)
		})
	}
}

func TestInvokeRefuses(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	const (
		malformed = francisv1.Reason_REASON_MALFORMED
		invalidID = francisv1.Reason_REASON_INVALID_ID
		noMethod  = francisv1.Reason_REASON_UNKNOWN_METHOD
		noType    = francisv1.Reason_REASON_UNKNOWN_TYPE
	)
	tests := map[string]struct {
		request
		code   connect.Code
		reason francisv1.Reason
		text   string
	}{
		"an unknown type": {
			request{path: "/invoke/prob/a/add", body: "{}"},
			connect.CodeNotFound, noType,
			`no host serves the actor type "prob" (registered: myactor, probe, relay); register it, or check the spelling`,
		},
		"a service for a type": {
			request{path: "/invoke/behaviour.v1.ProbeActor/a/add", body: "{}"}, connect.CodeNotFound, noType, "behaviour.v1.ProbeActor",
		},
		"an unknown method": {
			request{path: "/invoke/probe/a/ad", body: "{}"},
			connect.CodeUnimplemented, noMethod,
			`actor type "probe" has no method "ad"; check the spelling`,
		},
		"a method in another case":       {request{path: "/invoke/probe/a/ADD", body: "{}"}, connect.CodeUnimplemented, noMethod, `"ADD"`},
		"an internal method":             {request{path: "/invoke/probe/a/hidden", body: "{}"}, connect.CodeUnimplemented, noMethod, `has no method "hidden"`},
		"an internal method as declared": {request{path: "/invoke/probe/a/Hidden", body: "{}"}, connect.CodeUnimplemented, noMethod, `has no method "Hidden"`},
		"a path that is none": {
			request{path: "/invoke/probe/a", body: "{}"},
			connect.CodeUnimplemented, noMethod,
			"there is no endpoint POST /invoke/probe/a; call POST /invoke/{type}/{id}/{method}, or POST /{package.Service}/{Method} with the header Francis-Actor-Id",
		},
		"a path too long":    {request{path: "/invoke/probe/a/add/b", body: "{}"}, connect.CodeUnimplemented, noMethod, "there is no endpoint POST /invoke/probe/a/add/b"},
		"a slash at the end": {request{path: "/invoke/probe/a/add/", body: "{}"}, connect.CodeUnimplemented, noMethod, "there is no endpoint"},
		"the root":           {request{method: http.MethodGet, path: "/"}, connect.CodeUnimplemented, noMethod, "there is no endpoint GET /"},
		"GET":                {request{method: http.MethodGet, path: "/invoke/myactor/a/get"}, connect.CodeUnimplemented, noMethod, "there is no endpoint GET /invoke/myactor/a/get; call POST"},
		"PUT":                {request{method: http.MethodPut, path: "/invoke/myactor/a/get", body: "{}"}, connect.CodeUnimplemented, noMethod, "there is no endpoint PUT"},
		"an unknown field":   {request{path: "/invoke/probe/a/add", body: `{"inn": 1}`}, connect.CodeInvalidArgument, malformed, `unknown field "inn"`},
		"JSON cut off":       {request{path: "/invoke/probe/a/add", body: `{"in": 1`}, connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest"},
		"no JSON":            {request{path: "/invoke/probe/a/add", body: `in=1`}, connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest"},
		"a JSON list":        {request{path: "/invoke/probe/a/add", body: `[]`}, connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest"},
		"two values":         {request{path: "/invoke/probe/a/add", body: `{"in":1}{"in":1}`}, connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest"},
		"a wrong value":      {request{path: "/invoke/probe/a/add", body: `{"in":"x"}`}, connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest"},
		"a value too large":  {request{path: "/invoke/probe/a/add", body: `{"in":"9223372036854775808"}`}, connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest"},
		"JSON too deep":      {request{path: "/invoke/probe/a/add", body: strings.Repeat(`{"script":`, 20_000)}, connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest"},
		"text that is not UTF-8": {
			request{path: "/invoke/probe/a/add", body: "{\"script\":{\"fail\":\"\xff\"}}"}, connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest",
		},
		"broken protobuf": {
			request{path: "/invoke/probe/a/add", body: "\xff\xff\xff", header: map[string]string{"Content-Type": "application/proto"}},
			connect.CodeInvalidArgument, malformed, "the request is no behaviour.v1.AddRequest",
		},
		"gzip that is none": {
			request{path: "/invoke/probe/a/add", body: "{}", header: map[string]string{"Content-Encoding": "gzip"}}, connect.CodeInvalidArgument, malformed, "decompressor",
		},
		"a dot for an id":         {request{path: "/invoke/probe/%2e/add", body: "{}"}, connect.CodeInvalidArgument, invalidID, `the actor id "." is no valid path segment`},
		"two dots for an id":      {request{path: "/invoke/probe/%2e%2E/add", body: "{}"}, connect.CodeInvalidArgument, invalidID, `the actor id ".." is no valid path segment`},
		"an id that is not UTF-8": {request{path: "/invoke/probe/%ff/add", body: "{}"}, connect.CodeInvalidArgument, invalidID, "the actor id is not valid UTF-8"},
		"an id with a newline":    {request{path: "/invoke/probe/a%0Ab/add", body: "{}"}, connect.CodeInvalidArgument, invalidID, "has a control character"},
		"an id with NUL":          {request{path: "/invoke/probe/%00/add", body: "{}"}, connect.CodeInvalidArgument, invalidID, "has a control character"},
		"an id of space":          {request{path: "/invoke/probe/%20/add", body: "{}"}, connect.CodeInvalidArgument, invalidID, "starts or ends with white space"},
		"an id too long":          {request{path: "/invoke/probe/" + strings.Repeat("x", 513) + "/add", body: "{}"}, connect.CodeInvalidArgument, invalidID, "513 bytes; at most 512"},
		"a header that disagrees": {
			request{path: "/invoke/probe/a/add", body: "{}", header: map[string]string{idHeader: "b"}},
			connect.CodeInvalidArgument, invalidID,
			"the path names the actor a, but the header Francis-Actor-Id says b; leave the header out",
		},
		"a header that is not escaped": {
			request{path: "/invoke/probe/a/add", body: "{}", header: map[string]string{idHeader: "%zz"}},
			connect.CodeInvalidArgument, invalidID,
			`the header Francis-Actor-Id is not percent-encoded`,
		},
		"a field that disagrees": {
			request{path: "/invoke/relay/r1/send", body: `{"relay":"r2","probe":"p"}`},
			connect.CodeInvalidArgument, invalidID,
			`the call is for the actor "r1", but the field relay of its request says "r2"; leave one of them out`,
		},
		"a zero that disagrees": {request{path: "/invoke/relay/17/number", body: `{"number":0}`}, connect.CodeInvalidArgument, invalidID, `says "0"`},
		"an id that is no number": {
			request{path: "/invoke/relay/r1/number", body: `{}`},
			connect.CodeInvalidArgument, invalidID,
			`the actor id "r1" does not fit the field number of the request, which is uint64`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := s.send(test.request)
			a.wantRefusal(t, test.code, test.reason, test.text)
			if got := a.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q, want JSON", got)
			}
		})
	}
	s.wantSum("a", 0)
}

// The mux cleans a path before it looks: no endpoint is reached by a detour.
func TestInvokeUncleanPaths(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	for path, want := range map[string]string{
		"/invoke/probe//add":         "/invoke/probe/add",
		"//invoke/probe/a/add":       "/invoke/probe/a/add",
		"/invoke/probe/./add":        "/invoke/probe/add",
		"/x/../invoke/probe/a/add":   "/invoke/probe/a/add",
		"/invoke/probe/a/../../b/ad": "/invoke/b/ad",
	} {
		a := s.send(request{path: path, body: `{"in":1}`})
		if got := a.header.Get("Location"); a.status != http.StatusTemporaryRedirect || got != want {
			t.Errorf("%s: status %d to %q, want a redirect to %q", path, a.status, got, want)
		}
	}
	s.wantSum("a", 0)
}
