// Package gateway is the HTTP surface of a host: every method of every actor type
// that is not internal, over Connect, gRPC and gRPC-Web with protobuf or JSON, and
// for people with curl at POST /invoke/{type}/{id}/{method}. It finds the actor id,
// decodes the request and calls; it knows nothing of where actors live.
package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"sync"

	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// maxBody bounds the body of a request as it is sent: the largest message, and the
// envelope of its protocol.
const maxBody = limit.MaxMessage + 4<<10

// Directory is what a gateway asks a host for.
type Directory interface {
	// Types lists the actor types that can be called.
	Types() []*actor.Type
	// Service is how they are called.
	Service() actor.Caller
}

// Gateway serves the actors of a directory. It follows the directory: a type that
// is registered later is served as well.
type Gateway struct {
	directory Directory
	mux       *http.ServeMux
	// errors answers what reaches no method, in the protocol of the request.
	errors *connecthttp.ErrorWriter
	// endpoints are the types that were called already, by *actor.Type.
	endpoints sync.Map
}

// New returns a gateway to the actors of directory.
func New(directory Directory) *Gateway {
	g := &Gateway{directory: directory, mux: http.NewServeMux(), errors: connecthttp.NewErrorWriter()}
	g.mux.HandleFunc("POST /invoke/{type}/{idAndMethod...}", g.invoke)
	g.mux.HandleFunc("/{service}/{method}", g.call)
	g.mux.HandleFunc("/", g.noEndpoint)
	return g
}

func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	g.mux.ServeHTTP(w, r)
}

// call serves Connect, gRPC and gRPC-Web.
func (g *Gateway) call(w http.ResponseWriter, r *http.Request) {
	typ := g.typeOf(protoreflect.FullName(r.PathValue("service")))
	if typ == nil {
		g.noEndpoint(w, r)
		return
	}
	if method := typ.Methods[r.URL.Path]; method == nil || method.Internal {
		g.fail(w, r, fault.UnknownMethod(typ.Name, r.PathValue("method")))
		return
	}
	g.endpoint(typ).rpc.ServeHTTP(w, r)
}

// typeOf returns the actor type whose contract is the service, nil for none.
func (g *Gateway) typeOf(service protoreflect.FullName) *actor.Type {
	for _, typ := range g.directory.Types() {
		if typ.Service.FullName() == service {
			return typ
		}
	}
	return nil
}

// invoke serves people: the request is handed to the method's Connect endpoint,
// with the id from the path and the body as JSON unless it says protobuf.
func (g *Gateway) invoke(w http.ResponseWriter, r *http.Request) {
	id, called, ok := idAndMethod(r)
	if !ok {
		g.noEndpoint(w, r)
		return
	}
	typ, err := g.typeNamed(r.PathValue("type"))
	if err != nil {
		g.fail(w, r, err)
		return
	}
	method := methodNamed(typ, called)
	if method == nil {
		g.fail(w, r, fault.UnknownMethod(typ.Name, called))
		return
	}
	g.endpoint(typ).people.ServeHTTP(w, asConnect(r, method, id))
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

func (g *Gateway) typeNamed(name string) (*actor.Type, error) {
	types := g.directory.Types()
	known := make([]string, 0, len(types))
	for _, typ := range types {
		if typ.Name == name {
			return typ, nil
		}
		known = append(known, typ.Name)
	}
	return nil, fault.UnknownType(name, known)
}

// methodNamed finds a method by its name in the contract or in lowerCamel. Internal
// methods are not served.
func methodNamed(typ *actor.Type, name string) *actor.Method {
	for _, method := range typ.Methods {
		declared := string(method.Desc.Name())
		if !method.Internal && (name == declared || name == strings.ToLower(declared[:1])+declared[1:]) {
			return method
		}
	}
	return nil
}

// asConnect is r as a unary Connect request to a method of the actor id.
func asConnect(r *http.Request, method *actor.Method, id string) *http.Request {
	connect := r.WithContext(withPathID(r.Context(), id))
	target := *r.URL
	target.Path, target.RawPath = method.Procedure, ""
	connect.URL = &target
	connect.Header = r.Header.Clone()
	if connect.Header.Get("Content-Type") != "application/proto" {
		connect.Header.Set("Content-Type", "application/json")
	}
	return connect
}

func (g *Gateway) noEndpoint(w http.ResponseWriter, r *http.Request) {
	g.fail(w, r, fault.NoEndpoint(r.Method, r.URL.Path))
}

func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	_ = g.errors.Write(w, r, err) // fails only where the client has gone
}
