package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/gen/francis/runtime/v1/runtimev1connect"
	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/runtime/config"
	"github.com/francis-actors/francis/runtime/serve"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(text []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(text)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// running is a runtime that runs.
type running struct {
	t       *testing.T
	cfg     *config.Config
	runtime *serve.Runtime
	log     *journal
	stop    context.CancelFunc
	done    chan error
}

func secret(t *testing.T, text string) pki.Secret {
	t.Helper()
	parsed, err := pki.ParseSecret([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func newConfig(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Bind = "127.0.0.1:0"
	cfg.RuntimePSKs = []pki.Secret{secret(t, "a runtime secret of the tests")}
	cfg.Bootstrap.HostPSK = secret(t, "a host secret of the tests")
	cfg.Provider.Type = config.ProviderMemory
	return cfg
}

func start(t *testing.T, cfg *config.Config) *running {
	t.Helper()
	r := &running{t: t, cfg: cfg, log: &journal{}, done: make(chan error, 1)}
	var err error
	r.runtime, err = serve.New(t.Context(), cfg, slog.New(slog.NewTextHandler(r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.done <- r.runtime.Run(ctx) }()
	t.Cleanup(func() { r.stop(); <-r.done })
	return r
}

func (r *running) address() string { return r.runtime.Address().String() }

// end stops the runtime and returns how it ended.
func (r *running) end() error {
	r.stop()
	err := <-r.done
	r.done <- err
	return err
}

func (r *running) trust() pki.Trust {
	r.t.Helper()
	authority, err := r.cfg.Authority()
	if err != nil {
		r.t.Fatal(err)
	}
	trust, err := pki.Pinned(authority.Bundle().PEM())
	if err != nil {
		r.t.Fatal(err)
	}
	return trust
}

func (r *running) join(address string) *join.Membership {
	r.t.Helper()
	member, err := join.Join(r.t.Context(), join.Request{
		Runtime: r.address(), Trust: r.trust(), Secret: r.cfg.Bootstrap.HostPSK, Role: pki.RoleWorker, Address: address, Types: []string{"myactor"},
	})
	if err != nil {
		r.t.Fatalf("%v; the log:\n%s", err, r.log)
	}
	return member
}

// dial makes a client whose connections are configured so.
func (r *running) dial(config *tls.Config) runtimev1connect.WorkerServiceClient {
	return runtimev1connect.NewWorkerServiceClient(r.client(config))
}

// links makes a client of links likewise.
func (r *running) links(config *tls.Config) runtimev1connect.LinkServiceClient {
	return runtimev1connect.NewLinkServiceClient(r.client(config))
}

func (r *running) client(config *tls.Config) *connect.Client {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: config, Protocols: &protocols}
	r.t.Cleanup(transport.CloseIdleConnections)
	return connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: transport}, "https://"+r.address(), connecthttp.WithCompressors()))
}

// logs waits until the text is in the log: a client may know of a refusal earlier.
func (r *running) logs(text string) {
	r.t.Helper()
	for late := time.Now().Add(time.Minute); !strings.Contains(r.log.String(), text); {
		if time.Now().After(late) {
			r.t.Fatalf("the log misses %q:\n%s", text, r.log)
		}
		time.Sleep(5 * time.Millisecond) // real time: a log does not tell when
	}
}

// announcement is that of a worker which serves the counter of the examples.
func announcement() *runtimev1.AnnounceRequest {
	files := &descriptorpb.FileDescriptorSet{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		if next := protodesc.ToFileDescriptorProto(file); !slices.ContainsFunc(files.File, func(f *descriptorpb.FileDescriptorProto) bool {
			return f.GetName() == next.GetName()
		}) {
			files.File = append(files.File, next)
		}
	}
	add(myactorv1.File_myactor_v1_myactor_proto)
	return &runtimev1.AnnounceRequest{
		Address: "127.0.0.1:7571",
		Types:   []*runtimev1.ActorType{{Name: "myactor", Service: "myactor.v1.MyActor", Files: files}},
	}
}

func TestAWorkerJoinsAndIsServed(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	member := r.join("127.0.0.1:7571")
	calls := r.dial(member.Holder.DialRuntime())
	if _, err := calls.Announce(t.Context(), announcement()); err != nil {
		t.Fatal(err)
	}
	renewed, err := calls.Renew(t.Context(), &runtimev1.RenewRequest{})
	if err != nil || renewed.GetDead() {
		t.Errorf("renewed %v, %v", renewed, err)
	}
	workers, err := r.runtime.Workers(t.Context())
	if err != nil || len(workers) != 1 || workers[0].GetId() != member.ID || workers[0].GetAddress() != "127.0.0.1:7571" {
		t.Errorf("the workers are %v, %v", workers, err)
	}
	types, err := r.runtime.Types(t.Context())
	if err != nil || len(types) != 1 || types[0].GetName() != "myactor" {
		t.Errorf("the types are %v, %v", types, err)
	}
}

func TestACertificateIsRenewed(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	member := r.join("127.0.0.1:7571")
	request, err := pki.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	calls := r.dial(member.Holder.DialRuntime())
	answer, err := calls.Certify(t.Context(), &runtimev1.CertifyRequest{Csr: request.CSR()})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := request.Certificate(answer.GetCertificate())
	if err != nil || certificate.Identity().ID != member.ID {
		t.Errorf("certified %v, %v", certificate, err)
	}
	if _, err := calls.Certify(t.Context(), &runtimev1.CertifyRequest{Csr: []byte("none")}); codeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a bad request is answered %v", err)
	}
}

func codeOf(err error) connect.Code {
	if coded, ok := errors.AsType[*connect.Error](err); ok {
		return coded.Code()
	}
	return connect.CodeUnknown
}

func TestWithoutACertificateOnlyJoiningIsPossible(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	_, err := r.dial(r.trust().DialRuntime()).Renew(t.Context(), &runtimev1.RenewRequest{})
	if codeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("answered %v", err)
	}
}

func TestAnotherClustersWorkerIsRefused(t *testing.T) {
	t.Parallel()
	other := newConfig(t)
	other.RuntimePSKs = []pki.Secret{secret(t, "the secret of another cluster")}
	stranger := start(t, other).join("127.0.0.1:7571")
	r := start(t, newConfig(t))
	config := stranger.Holder.DialRuntime()
	config.VerifyConnection = nil
	if _, err := r.dial(config).Renew(t.Context(), &runtimev1.RenewRequest{}); err == nil {
		t.Error("a stranger is served")
	}
	r.logs("certificate of an unknown authority")
}

func TestPlainHTTPIsAnsweredReadably(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	resp, err := http.Get("http://" + r.address() + "/") //nolint:noctx // bounded by the server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "TLS") {
		t.Errorf("answered %d %q", resp.StatusCode, body)
	}
}

func TestALargeRequestIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	calls := r.dial(r.join("127.0.0.1:7571").Holder.DialRuntime())
	_, err := calls.Commit(t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{{Data: make([]byte, 5<<20)}}})
	if codeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("answered %v", err)
	}
}

func TestAWorkerMayHoldFewConnections(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	member := r.join("127.0.0.1:7571")
	open := func() (net.Conn, error) {
		conn, err := tls.Dial("tcp", r.address(), member.Holder.DialRuntime())
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		_, err = bufio.NewReader(conn).ReadByte() // the settings of HTTP/2
		return conn, err
	}
	for range 16 {
		if _, err := open(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := open(); err == nil {
		t.Error("one worker may hold any number of connections")
	}
}

func TestAStopEndsWatchesAndAnswers(t *testing.T) {
	t.Parallel()
	r := start(t, newConfig(t))
	calls := r.dial(r.join("127.0.0.1:7571").Holder.DialRuntime())
	table, err := calls.Watch(t.Context(), &runtimev1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	watched := make(chan error, 1)
	go func() {
		_, err := calls.Watch(context.Background(), &runtimev1.WatchRequest{Cursor: table.GetCursor()})
		watched <- err
	}()
	began := time.Now()
	if err := r.end(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if took := time.Since(began); took > r.cfg.ShutdownGracePeriod/2 {
		t.Errorf("it took %v to end", took)
	}
	<-watched
}

func TestSQLiteKeepsTheData(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	cfg.Provider = config.Provider{Type: config.ProviderSQLite, ConnectionString: filepath.Join(t.TempDir(), "data.db")}
	first := start(t, cfg)
	calls := first.dial(first.join("127.0.0.1:7571").Holder.DialRuntime())
	if _, err := calls.Announce(t.Context(), announcement()); err != nil {
		t.Fatal(err)
	}
	if _, err := serve.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another runtime has the store") {
		t.Errorf("a second runtime on the file: %v", err)
	}
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	types, err := start(t, cfg).runtime.Types(t.Context())
	if err != nil || len(types) != 1 || types[0].GetName() != "myactor" {
		t.Errorf("the types are %v, %v", types, err)
	}
}

func TestNewTellsWhatIsTaken(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	cfg.Bind = start(t, newConfig(t)).address()
	_, err := serve.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "end what has the address, or choose another bind") {
		t.Errorf("got %v", err)
	}
}

// Who is asked to stop does not wait for a server that takes connections and says nothing.
func TestNewEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	ctx, stop := context.WithCancel(t.Context())
	cfg.Provider = config.Provider{Type: config.ProviderPostgres, ConnectionString: "postgres://" + silent(t, stop) + "/x?sslmode=disable"}
	if _, err := serve.New(ctx, cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("New ended with %v", err)
	}
}

// silent is the address of a server that says nothing, and calls connected when somebody is.
func silent(t *testing.T, connected func()) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
	})
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			connected()
		}
	})
	return listener.Addr().String()
}
