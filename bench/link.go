package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pki"
)

const roleEcho = "echo"

// echoOrders say what a process that echoes listens for.
type echoOrders struct {
	// Stream is a Connect stream over HTTP/2 with mutual TLS; else it is raw TCP.
	Stream bool `json:"stream"`
	// Apart answers each message on a goroutine of its own.
	Apart bool `json:"apart"`
}

func (o echoOrders) echo(l link) error {
	if o.Apart {
		return echo(l, func(answer func()) { go answer() })
	}
	return echo(l, func(answer func()) { answer() })
}

// startEcho listens on a free port and echoes frames.
func startEcho(_ context.Context, text []byte) (address string, stop func() error, err error) {
	var orders echoOrders
	if err := json.Unmarshal(text, &orders); err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	if orders.Stream {
		err = serveStream(listener, orders)
	} else {
		go serveTCP(listener, orders)
	}
	return listener.Addr().String(), listener.Close, err
}

// serveTCP echoes on every connection until the listener is closed.
func serveTCP(listener net.Listener, orders echoOrders) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = orders.echo(newTCP(conn)) // the caller learns that the link has ended
		}()
	}
}

// tcp frames a connection: four bytes of length, then the frame.
type tcp struct {
	conn  net.Conn
	input *bufio.Reader
	frame [batch * size]byte
}

const prefix = 4

func newTCP(conn net.Conn) *tcp { return &tcp{conn: conn, input: bufio.NewReader(conn)} }

func dialTCP(ctx context.Context, address string) (link, func(), error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, nil, err
	}
	return newTCP(conn), func() { _ = conn.Close() }, nil
}

func (t *tcp) send(frame []byte) error {
	out := binary.LittleEndian.AppendUint32(make([]byte, 0, prefix+len(frame)), uint32(len(frame)))
	_, err := t.conn.Write(append(out, frame...))
	return err
}

func (t *tcp) receive() ([]byte, error) {
	var length [prefix]byte
	if _, err := io.ReadFull(t.input, length[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(length[:])
	if n > uint32(len(t.frame)) {
		return nil, fmt.Errorf("a frame of %d bytes; %d are allowed", n, len(t.frame))
	}
	_, err := io.ReadFull(t.input, t.frame[:n])
	return t.frame[:n], err
}

// echoSpec is the stream of the floor. A frame is a LoadRequest, because it is a message
// of ours that repeats small ones: what a message means does not matter here, that each
// is encoded and decoded as protobuf does.
var echoSpec = connect.Spec{StreamType: connect.StreamTypeBidi, Procedure: "/francis.bench.v1.Echo/Echo"}

// keys and cluster are those of the short-lived clusters of the bench, on loopback.
const (
	cluster    = "bench"
	runtimeKey = "a runtime key of the bench, for loopback only"
	hostKey    = "a host key of the bench, for loopback only"
)

func newAuthority() (*pki.Authority, error) {
	secret, err := pki.ParseSecret([]byte(runtimeKey))
	if err != nil {
		return nil, err
	}
	return pki.NewAuthority(cluster, secret)
}

// newHolder gives this process a certificate, which every other one of the bench trusts.
func newHolder() (*pki.Holder, error) {
	authority, err := newAuthority()
	if err != nil {
		return nil, err
	}
	certificate, err := authority.IssueRuntime(pki.NewID(), time.Now())
	if err != nil {
		return nil, err
	}
	return pki.NewHolder(certificate, authority.Bundle()), nil
}

// headerTime bounds the wait for a request's header.
const headerTime = 5 * time.Second

// serveStream serves the stream until the process ends.
func serveStream(listener net.Listener, orders echoOrders) error {
	holder, err := newHolder()
	if err != nil {
		return err
	}
	rpc := connect.NewServer()
	rpc.Register(connect.Method{Spec: echoSpec, Handler: func(_ context.Context, _ connect.Spec, s connect.ServerStream) error {
		return orders.echo(&stream{s})
	}})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc, connecthttp.WithCompressors())
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	server := &http.Server{Handler: mux, TLSConfig: holder.MemberServer(pki.RoleRuntime), Protocols: &protocols, ReadHeaderTimeout: headerTime}
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with the listener
	return nil
}

func dialStream(ctx context.Context, address string) (link, func(), error) {
	holder, err := newHolder()
	if err != nil {
		return nil, nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: holder.DialRuntime(), Protocols: &protocols}
	client := connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, "https://"+address, connecthttp.WithCompressors()))
	s, err := client.CallClientStream(ctx, echoSpec)
	if err == nil {
		err = s.SendHeaders()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the stream: %w", err)
	}
	return &stream{s}, func() {
		_ = s.Close()
		transport.CloseIdleConnections()
	}, nil
}

// stream is a Connect stream as a link.
type stream struct {
	frames interface {
		Send(message any) error
		Receive(message any) error
	}
}

func (s *stream) send(frame []byte) error {
	var out runtimev1.LoadRequest
	for ; len(frame) > 0; frame = frame[size:] {
		out.Reads = append(out.GetReads(), &runtimev1.LoadRequest_Read{
			Fence:  &runtimev1.Fence{Epoch: binary.LittleEndian.Uint64(frame)},
			Recall: frame[number:size],
		})
	}
	return s.frames.Send(&out)
}

func (s *stream) receive() ([]byte, error) {
	var in runtimev1.LoadRequest
	if err := s.frames.Receive(&in); err != nil {
		return nil, err
	}
	frame := make([]byte, 0, len(in.GetReads())*size)
	for _, read := range in.GetReads() {
		frame = append(binary.LittleEndian.AppendUint64(frame, read.GetFence().GetEpoch()), read.GetRecall()...)
	}
	return frame, nil
}
