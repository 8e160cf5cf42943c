package member

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk/internal/host"
)

// clientBed is a client on a fake runtime.
type clientBed struct {
	*fake

	t         *testing.T
	authority *pki.Authority
	member    *Member
	host      *host.Host
	// refused makes joins fail while it is set.
	refused error
	leave   func()
}

// runClient runs a test in a bubble with a client that is ready.
func runClient(t *testing.T, test func(b *clientBed)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &clientBed{t: t, fake: &fake{dead: map[string]bool{}, changed: make(chan struct{})}}
		secret, err := pki.ParseSecret([]byte("a runtime secret of the client tests"))
		if err != nil {
			t.Fatal(err)
		}
		if b.authority, err = pki.NewAuthority("prod", secret); err != nil {
			t.Fatal(err)
		}
		quiet := slog.New(slog.DiscardHandler)
		b.member = New(Config{Client: true, Join: b.joinClient, Logger: quiet})
		if b.host, err = host.New(host.Config{Cluster: b.member, Logger: quiet}); err != nil {
			t.Fatal(err)
		}
		b.member.Serve(b.host)
		ctx, leave := context.WithCancel(context.Background())
		b.leave = leave
		ended := make(chan error, 1)
		go func() { ended <- b.member.Run(ctx) }()
		<-b.member.Ready()
		test(b)
		b.member.Drain(time.Second)
		leave()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		b.wantLog(t) // it asked for nothing that only workers may
	})
}

// joinClient gives out certificates of an hour, one after the other.
func (b *clientBed) joinClient(context.Context) (*Membership, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused != nil {
		return nil, b.refused
	}
	b.joins++
	request, err := pki.NewRequest()
	if err != nil {
		return nil, err
	}
	id := "c" + strconv.Itoa(b.joins)
	der, err := b.authority.Issue(pki.Order{Identity: pki.Identity{Role: pki.RoleClient, ID: id}, CSR: request.CSR()}, time.Now())
	if err != nil {
		return nil, err
	}
	made, err := request.Certificate(der)
	if err != nil {
		return nil, err
	}
	return &Membership{
		Worker: id, Holder: pki.NewHolder(made, b.authority.Bundle()), Lease: testLease,
		Runtime: &seen{b.fake, id}, Close: func() {},
	}, nil
}

func (b *clientBed) valid() bool {
	return time.Now().Before(b.member.Holder().Certificate().NotAfter())
}

// A client has a valid certificate at any time, in one session that never lapses, and the
// runtime hears of it only what its role allows: it watches.
func TestAClientRenewsItsCertificateByJoining(t *testing.T) {
	runClient(t, func(b *clientBed) {
		first := b.member.session.Load()
		for range 10 * 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if !b.valid() || !b.member.Active() {
				t.Fatalf("after %d joins: certificate valid %v, active %v", b.joins, b.valid(), b.member.Active())
			}
		}
		if b.member.session.Load() != first {
			t.Error("a renewal began another session")
		}
		if b.joins < 10*60/36 || b.joins > 10*60/24+1 {
			t.Errorf("%d joins in ten hours", b.joins)
		}
	})
}

// While nobody can renew the certificate the client goes on with the one it has, and gets
// another one as soon as that is possible.
func TestAClientOutlivesRefusals(t *testing.T) {
	runClient(t, func(b *clientBed) {
		b.mu.Lock()
		b.refused = errAway
		b.mu.Unlock()
		time.Sleep(20 * time.Minute)
		if !b.valid() {
			t.Error("no certificate after 20 minutes")
		}
		time.Sleep(2 * time.Hour)
		if b.valid() || b.joins != 1 {
			t.Errorf("valid %v after %d joins", b.valid(), b.joins)
		}
		b.mu.Lock()
		b.refused = nil
		b.mu.Unlock()
		time.Sleep(2 * retryPauseMost)
		if !b.valid() {
			t.Error("no certificate although the runtime gives some again")
		}
	})
}

// A client that the runtime sends away, because the store went back, joins again and reads
// the whole table.
func TestAClientJoinsAgain(t *testing.T) {
	runClient(t, func(b *clientBed) {
		before := b.member.session.Load()
		b.set(func() { b.dead["c1"] = true })
		time.Sleep(time.Second)
		synctest.Wait()
		if now := b.member.session.Load(); now == before || now.membership.Worker != "c2" || !b.member.Active() {
			t.Errorf("the session is that of %s", now.membership.Worker)
		}
		if cursors := b.watched(); len(cursors) == 0 || cursors[len(cursors)-1] != "" {
			t.Errorf("it watched from %q", cursors)
		}
	})
}

// closed reports whether an error says, for good, that the client is closed.
func closed(err error) bool {
	return connect.CodeOf(err) == connect.CodeFailedPrecondition && fault.Detail(err).GetReason() == francisv1.Reason_REASON_SHUTTING_DOWN
}

// What is asked of a client that was closed fails for good.
func TestAClosedClientSaysSo(t *testing.T) {
	runClient(t, func(b *clientBed) {
		b.leave()
		<-b.member.over
		_, err := b.member.Change(context.Background(), &runtimev1.TaskChange{})
		if !errors.Is(err, host.ErrUnsent) || !closed(err) {
			t.Errorf("a change: %v", err)
		}
		if _, err := b.member.List(context.Background(), &runtimev1.ListRequest{}); !closed(err) {
			t.Errorf("a list: %v", err)
		}
		if err := b.member.Await(context.Background(), "probe", 0, 1); !closed(err) {
			t.Errorf("a wait: %v", err)
		}
	})
}
