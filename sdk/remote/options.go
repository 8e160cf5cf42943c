package remote

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/internal/worker"
)

// Option is a setting of a host.
type Option interface {
	applyToHost(c *config)
}

// ClientOption is a setting of a client.
type ClientOption interface {
	applyToClient(c *config)
}

// MemberOption works for a host and for a client.
type MemberOption interface {
	Option
	ClientOption
}

type hostOption func(c *config)

func (o hostOption) applyToHost(c *config) { o(c) }

type memberOption func(c *config)

func (o memberOption) applyToHost(c *config)   { o(c) }
func (o memberOption) applyToClient(c *config) { o(c) }

// config are the settings of a host or a client.
type config struct {
	worker.Settings

	runtimes []string
	psk      []byte
	caPEM    []byte
	unsafe   bool

	secret pki.Secret
	trust  pki.Trust
}

// WithAddress sets where other workers reach this one, "host:port"; port 0 takes a
// free one. Required.
func WithAddress(address string) Option {
	return hostOption(func(c *config) { c.Place.Address = address })
}

// WithBind sets where the host listens for other workers, where that differs from
// its address. Default: the address.
func WithBind(address string) Option {
	return hostOption(func(c *config) { c.Place.Bind = address })
}

// WithRuntimeAddresses names the runtimes, "host:port" each. One of them is used, and the
// next one as soon as that says nothing or does not renew the lease. Required.
func WithRuntimeAddresses(addresses ...string) MemberOption {
	return memberOption(func(c *config) { c.runtimes = slices.Clone(addresses) })
}

// WithHostBootstrapPSK sets the secret by which a host or a client joins: the
// bootstrap.hostPSK of the runtime. Required.
func WithHostBootstrapPSK(psk []byte) MemberOption {
	return memberOption(func(c *config) { c.psk = psk })
}

// WithPinnedCA makes a host or a client join only a runtime of this cluster: pem is what
// "runtime print-ca" prints.
func WithPinnedCA(pem []byte) MemberOption {
	return memberOption(func(c *config) { c.caPEM = pem })
}

// WithUnsafeNoPinnedCA makes a host or a client trust the runtime that answers first,
// provided it knows the bootstrap secret. Who can intercept the first connection can try to
// guess a weak secret from it; pin the CA in production.
func WithUnsafeNoPinnedCA() MemberOption {
	return memberOption(func(c *config) { c.unsafe = true })
}

// WithShutdownGracePeriod sets how long Run takes at most to hand the actors over
// when its context ends. Default: 30 seconds.
func WithShutdownGracePeriod(d time.Duration) Option {
	return hostOption(func(c *config) { c.Grace = d })
}

// WithLimits bounds what a host takes on and what a client sends. Default: as [sdk.Limits]
// says.
func WithLimits(limits sdk.Limits) MemberOption {
	return memberOption(func(c *config) { c.Limits = limits })
}

// WithLogger sets where a host or a client logs. Default: slog.Default().
func WithLogger(logger *slog.Logger) MemberOption {
	return memberOption(func(c *config) { c.Logger = logger })
}

// Variables of the environment that [FromEnv] reads; "runtime dev" sets them.
const (
	EnvRuntimeAddresses = "FRANCIS_RUNTIME_ADDRESSES"
	EnvWorkerAddress    = "FRANCIS_WORKER_ADDRESS"
	EnvHostPSK          = "FRANCIS_HOST_PSK"
	EnvCA               = "FRANCIS_CA_PEM"
)

// FromEnv takes over the settings of the environment: FRANCIS_WORKER_ADDRESS,
// FRANCIS_RUNTIME_ADDRESSES (separated by commas), FRANCIS_HOST_PSK and
// FRANCIS_CA_PEM. What is not set stays as other options say. A client has no address.
func FromEnv() MemberOption {
	return memberOption(func(c *config) {
		if v := os.Getenv(EnvWorkerAddress); v != "" {
			c.Place.Address = v
		}
		if v := os.Getenv(EnvRuntimeAddresses); v != "" {
			c.runtimes = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
		}
		if v := os.Getenv(EnvHostPSK); v != "" {
			c.psk = []byte(v)
		}
		if v := os.Getenv(EnvCA); v != "" {
			c.caPEM, c.unsafe = []byte(v), false
		}
	})
}

// hostConfig are the settings of a host.
func hostConfig(opts []Option) (config, error) {
	c := config{Settings: worker.DefaultSettings()}
	for _, opt := range opts {
		opt.applyToHost(&c)
	}
	err := errors.Join(c.checkAddress(), c.checkRuntimes(), c.Complete(), c.checkSecrets())
	return c, err
}

// clientConfig are the settings of a client.
func clientConfig(opts []ClientOption) (config, error) {
	c := config{Settings: worker.DefaultSettings()}
	for _, opt := range opts {
		opt.applyToClient(&c)
	}
	err := errors.Join(c.checkRuntimes(), c.Complete(), c.checkSecrets())
	return c, err
}

func (c *config) checkAddress() error {
	if c.Place.Address == "" {
		return errors.New("no address: other workers must reach this one; use WithAddress(\"host:port\")")
	}
	return c.Place.Check()
}

func (c *config) checkRuntimes() error {
	if len(c.runtimes) == 0 {
		return errors.New("no runtime: use WithRuntimeAddresses(\"host:port\")")
	}
	for _, address := range c.runtimes {
		if err := worker.CheckAddress(address); err != nil {
			return err
		}
	}
	return nil
}

func (c *config) checkSecrets() (err error) {
	if len(c.psk) == 0 {
		return errors.New("no bootstrap secret: use WithHostBootstrapPSK with the runtime's bootstrap.hostPSK")
	}
	if c.secret, err = pki.ParseSecret(c.psk); err != nil {
		return fmt.Errorf("bootstrap secret: %w", err)
	}
	switch {
	case len(c.caPEM) > 0 && c.unsafe:
		return errors.New("both WithPinnedCA and WithUnsafeNoPinnedCA: choose one")
	case c.unsafe:
		c.trust = pki.UnsafeNoPin()
		return nil
	case len(c.caPEM) == 0:
		return errors.New("neither WithPinnedCA nor WithUnsafeNoPinnedCA: pin the CA that \"runtime print-ca\" prints, or say that you take the risk")
	}
	if c.trust, err = pki.Pinned(c.caPEM); err != nil {
		return fmt.Errorf("pinned CA: %w", err)
	}
	return nil
}
