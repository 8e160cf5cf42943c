package serve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/francis-actors/francis/internal/deadline"
)

// Run answers workers until ctx ends, or until a part of the runtime fails. Then it
// takes no more connections, answers what is running as long as the grace allows,
// and closes the store. It returns nil when it was asked to stop and did.
func (r *Runtime) Run(ctx context.Context) error {
	r.log.Info("serving workers", "address", r.address.String(), "cluster", r.cfg.Cluster, "provider", r.cfg.Provider.Type)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts := r.start(ctx, stop)
	<-ctx.Done()
	err := r.shutdown(parts)
	if err == nil {
		r.log.Info("stopped")
	}
	return err
}

// parts are the goroutines of a runtime. The first of them that ends stops all.
type parts struct {
	running sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

// run runs a part until it ends.
func (p *parts) run(stop func(), part func() error) {
	p.running.Go(func() {
		defer stop()
		if err := part(); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.errs = append(p.errs, err)
		}
	})
}

// wait waits for all parts and returns why they ended.
func (p *parts) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		p.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return errors.Join(p.errs...)
	case <-ctx.Done():
		return errors.New("the runtime did not end within shutdownGracePeriod; what was acknowledged is safe")
	}
}

func (r *Runtime) start(ctx context.Context, stop func()) *parts {
	p := &parts{}
	p.run(stop, func() error { return r.engine.Run(ctx) })
	p.run(stop, func() error { return r.port.Run(ctx) })
	p.run(stop, func() error { return served(r.joiners.Serve(r.port.Joiners())) })
	p.run(stop, func() error { return served(r.members.Serve(r.port.Members())) })
	p.run(stop, func() error { r.renew(ctx); return nil })
	return p
}

// served is how a server ended: that its listener was closed is our own doing.
func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// joinGrace is how long those who join may take to finish: it is a matter of
// milliseconds, and a stranger who says nothing must not hold us up.
const joinGrace = time.Second

// shutdown ends what is running, and closes the store when nothing uses it any more.
func (r *Runtime) shutdown(p *parts) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.ShutdownGracePeriod)
	defer cancel()
	close(r.closing)
	var ending sync.WaitGroup
	ending.Go(func() { end(ctx, r.joiners, joinGrace) })
	ending.Go(func() { end(ctx, r.members, r.cfg.ShutdownGracePeriod) })
	ending.Wait()
	return errors.Join(p.wait(ctx), r.store.Close())
}

// end waits for the requests of a server, and cuts off what is left after the grace.
func end(ctx context.Context, server *http.Server, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}

// renewRetry is how long to wait when a certificate could not be renewed.
const renewRetry = time.Minute

// renew keeps the runtime's own certificate fresh.
func (r *Runtime) renew(ctx context.Context) {
	for deadline.SleepUntil(ctx, r.holder.Certificate().RenewAt(rand.Float64())) {
		if err := r.renewOnce(); err != nil {
			r.log.Error("the runtime's certificate could not be renewed; trying again", "error", err, "in", renewRetry)
			if !deadline.Sleep(ctx, renewRetry) {
				return
			}
		}
	}
}

func (r *Runtime) renewOnce() error {
	id := r.holder.Certificate().Identity().ID
	certificate, err := r.authority.IssueRuntime(id, time.Now())
	if err != nil {
		return fmt.Errorf("issue a certificate: %w", err)
	}
	r.holder.SetCertificate(certificate)
	r.log.Info("the runtime's certificate is renewed", "until", certificate.NotAfter())
	return nil
}
