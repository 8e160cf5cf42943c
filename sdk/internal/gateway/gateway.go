// Package gateway is the HTTP surface of a host: every method of every actor type
// that is not internal, over Connect, gRPC and gRPC-Web with protobuf or JSON, and
// for people with curl at POST /invoke/{type}/{id}/{method}. It finds the actor id,
// and passes the request on as it is; the worker that hosts the actor decodes it.
package gateway

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/inbound"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// maxBody bounds the body of a request as it is sent: the largest message, and the
// envelope of its protocol.
const maxBody = limit.MaxMessage + 4<<10

// Directory is what a gateway asks a host for. Its methods may be called
// concurrently.
type Directory interface {
	// TypeNames lists the actor types that can be called.
	TypeNames() []string
	// ContractOf returns the contract of an actor type, nil for an unknown one.
	ContractOf(typ string) *contract.Contract
	// Serving reports whether the host takes calls: it has started, and does not stop.
	Serving() bool
	// InvokeEncoded delivers a call; request and reply are encoded.
	InvokeEncoded(ctx context.Context, call actor.Call) ([]byte, error)
	// Service sets tasks and looks after them; also of a call for later the request is
	// encoded.
	Service() actor.Caller
}

// Gateway serves the actors of a directory. It follows the directory: a type that
// is registered later is served as well.
type Gateway struct {
	directory Directory
	mux       *http.ServeMux
	// tools serves reflection and health.
	tools *http.ServeMux
	// errors answers what reaches no method, in the protocol of the request.
	errors *connecthttp.ErrorWriter
	// paced is mux, for clients that keep their pace.
	paced http.Handler
	gzip  gzip
	load  load
	// endpoints are those that were called already, by actor type.
	endpoints sync.Map
}

// New returns a gateway to the actors of directory.
func New(directory Directory) *Gateway {
	g := &Gateway{directory: directory, mux: http.NewServeMux(), errors: connecthttp.NewErrorWriter(), tools: newTools(directory), gzip: newGzip()}
	g.mux.HandleFunc("POST /invoke/{type}/{idAndMethod...}", g.invoke)
	g.mux.HandleFunc("/alarm/{type}/{rest...}", g.serveTasks(alarms))
	g.mux.HandleFunc("/job/{type}/{rest...}", g.serveTasks(jobs))
	g.mux.HandleFunc("/{service}/{method}", g.call)
	g.mux.HandleFunc("/", g.noEndpoint)
	g.paced = inbound.Usual.Keep(g.mux)
	return g
}

// ServeHTTP serves a request within the limits of the gateway: on the size of its body,
// on the pace of its client, and on all that is under way.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := g.load.enter(); err != nil {
		g.fail(w, r, err)
		return
	}
	defer g.load.leave()
	body := &counted{ReadCloser: http.MaxBytesReader(w, r.Body, maxBody), load: &g.load}
	defer body.give()
	bounded := *r // net/http looks at its own body to see whether the connection can be used again
	bounded.Body = body
	g.paced.ServeHTTP(w, &bounded)
}

func newTools(directory Directory) *http.ServeMux {
	server := connect.NewServer()
	registerReflection(server, directory)
	registerHealth(server, directory)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	return mux
}

// call serves Connect, gRPC and gRPC-Web.
func (g *Gateway) call(w http.ResponseWriter, r *http.Request) {
	c := g.contractOf(protoreflect.FullName(r.PathValue("service")))
	if c == nil {
		g.callTool(w, r)
		return
	}
	if !slices.ContainsFunc(c.Methods, func(m contract.Method) bool { return m.Procedure == r.URL.Path && !m.Internal }) {
		g.fail(w, r, fault.UnknownMethod(c.Type, r.PathValue("method")))
		return
	}
	g.endpoint(c).rpc.ServeHTTP(w, r)
}

// contractOf returns the contract that is the service, nil for none.
func (g *Gateway) contractOf(service protoreflect.FullName) *contract.Contract {
	for _, typ := range g.directory.TypeNames() {
		if c := g.directory.ContractOf(typ); c != nil && c.Service.FullName() == service {
			return c
		}
	}
	return nil
}

// callTool serves what is no actor: reflection and health.
func (g *Gateway) callTool(w http.ResponseWriter, r *http.Request) {
	if tool, pattern := g.tools.Handler(r); pattern != "" {
		tool.ServeHTTP(w, r)
		return
	}
	g.noEndpoint(w, r)
}

// invoke serves people: the request is handed to the method's Connect endpoint,
// with the id from the path and the body as JSON unless it says protobuf.
func (g *Gateway) invoke(w http.ResponseWriter, r *http.Request) {
	id, called, ok := idAndMethod(r)
	if !ok {
		g.noEndpoint(w, r)
		return
	}
	typ := r.PathValue("type")
	c := g.directory.ContractOf(typ)
	if c == nil {
		g.fail(w, r, g.unlessStarting(fault.UnknownType(typ, g.directory.TypeNames())))
		return
	}
	method, ok := methodNamed(c, called)
	if !ok {
		g.fail(w, r, fault.UnknownMethod(typ, called))
		return
	}
	g.endpoint(c).people.ServeHTTP(w, asConnect(r, method, id))
}

// idAndMethod are the last segments of /invoke/{type}/{id}/{method}. The mux cannot
// tell them apart: for it no wildcard matches the segment %2F, a valid id.
func idAndMethod(r *http.Request) (id, method string, ok bool) {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	if len(segments) != 5 {
		return "", "", false
	}
	id, idErr := name.UnescapeID(segments[3])
	method, methodErr := url.PathUnescape(segments[4])
	return id, method, idErr == nil && methodErr == nil && method != ""
}

// methodNamed finds a method by its name in the contract or in lowerCamel. Internal
// methods are not served.
func methodNamed(c *contract.Contract, name string) (contract.Method, bool) {
	for _, method := range c.Methods {
		declared := string(method.Desc.Name())
		if !method.Internal && (name == declared || name == lowerFirst(declared)) {
			return method, true
		}
	}
	return contract.Method{}, false
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// asConnect is r as a unary Connect request to a method of the actor id.
func asConnect(r *http.Request, method contract.Method, id string) *http.Request {
	request := r.WithContext(withPathID(r.Context(), id))
	target := *r.URL
	target.Path, target.RawPath = method.Procedure, ""
	request.URL = &target
	request.Header = r.Header.Clone()
	if request.Header.Get("Content-Type") != "application/proto" {
		request.Header.Set("Content-Type", "application/json")
	}
	return request
}

func (g *Gateway) noEndpoint(w http.ResponseWriter, r *http.Request) {
	g.fail(w, r, g.unlessStarting(fault.NoEndpoint(r.Method, r.URL.Path)))
}

// unlessStarting is err, unless the host does not know the cluster yet: then it cannot
// say that there is no such thing.
func (g *Gateway) unlessStarting(err error) error {
	if g.directory.Serving() {
		return err
	}
	return fault.Starting()
}

func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	if after := retryAfter(err); after != "" {
		w.Header().Set("Retry-After", after)
	}
	_ = g.errors.Write(w, r, err) // fails only where the client has gone
}
