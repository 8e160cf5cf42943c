package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// Holder holds what a member shows and trusts. Both may be replaced at any time: the
// configurations that it made use the latest for every new handshake. It is safe for
// concurrent use.
type Holder struct {
	certificate atomic.Pointer[Certificate]
	bundle      atomic.Pointer[Bundle]
}

// NewHolder makes a holder of both, neither nil.
func NewHolder(certificate *Certificate, bundle *Bundle) *Holder {
	holder := &Holder{}
	holder.SetCertificate(certificate)
	holder.SetBundle(bundle)
	return holder
}

// Certificate is what the member shows now.
func (h *Holder) Certificate() *Certificate { return h.certificate.Load() }

// SetCertificate replaces what the member shows.
func (h *Holder) SetCertificate(certificate *Certificate) { h.certificate.Store(certificate) }

// Bundle is what the member trusts now.
func (h *Holder) Bundle() *Bundle { return h.bundle.Load() }

// SetBundle replaces what the member trusts. It does not end connections that an
// older bundle has verified.
func (h *Holder) SetBundle(bundle *Bundle) { h.bundle.Store(bundle) }

// protocols are what our ports speak. HTTP/1.1 is offered by servers only, so that a
// browser or curl reads an error instead of a failed handshake.
var (
	dialProtocols  = []string{"h2"}
	serveProtocols = []string{"h2", "http/1.1"}
)

// MemberServer configures a port for members of the given roles only.
func (h *Holder) MemberServer(accept ...Role) *tls.Config {
	config := h.server()
	config.ClientAuth = tls.RequireAnyClientCert
	config.VerifyConnection = h.verifier(Expectation{Roles: accept, Usage: x509.ExtKeyUsageClientAuth})
	return config
}

// JoinServer configures a port for members of the given roles, and for those who
// show no certificate because they want to join: [PeerOf] tells which. A certificate
// that is shown must be right.
func (h *Holder) JoinServer(accept ...Role) *tls.Config {
	verify := h.verifier(Expectation{Roles: accept, Usage: x509.ExtKeyUsageClientAuth})
	config := h.server()
	// Not VerifyClientCertIfGiven: its roots cannot be replaced, and its errors do not
	// say what to do. The proof of possession is checked by TLS either way.
	config.ClientAuth = tls.RequestClientCert
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil
		}
		return verify(state)
	}
	return config
}

// DialRuntime configures a member's connection to a runtime.
func (h *Holder) DialRuntime() *tls.Config {
	return h.dial(Expectation{Roles: []Role{RoleRuntime}, Usage: x509.ExtKeyUsageServerAuth})
}

// DialWorker configures a member's connection to the worker with that id.
func (h *Holder) DialWorker(id string) *tls.Config {
	return h.dial(Expectation{Roles: []Role{RoleWorker}, ID: id, Usage: x509.ExtKeyUsageServerAuth})
}

func (h *Holder) server() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             serveProtocols,
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &h.Certificate().pair, nil
		},
	}
}

func (h *Holder) dial(want Expectation) *tls.Config {
	config := dialConfig(h.verifier(want))
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &h.Certificate().pair, nil
	}
	return config
}

// dialConfig leaves the whole verification to verify: members are known by their
// URI, not by a host name.
func dialConfig(verify func(tls.ConnectionState) error) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         dialProtocols,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies
		VerifyConnection:   verify,
	}
}

func (h *Holder) verifier(want Expectation) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error { return verifyPeer(h.Bundle(), state, want) }
}

func verifyPeer(bundle *Bundle, state tls.ConnectionState, want Expectation) error {
	if len(state.PeerCertificates) == 0 {
		return ErrNoCertificate
	}
	_, err := bundle.Verify(state.PeerCertificates[0], want, time.Now())
	return err
}

// Trust is by what a worker without a certificate recognises a runtime. The zero
// Trust recognises none.
type Trust struct {
	bundle *Bundle
	unsafe bool
}

// Pinned trusts the runtimes whose CA certificate is in text: what `runtime print-ca`
// prints.
func Pinned(text []byte) (Trust, error) {
	bundle, err := ParseBundle(text)
	return Trust{bundle: bundle}, err
}

// UnsafeNoPin trusts whoever answers. The join still wants the server's proof that it
// knows the host PSK, but an impostor can take the worker's proof home and guess at a
// weak secret there; a JWT must never be sent this way.
func UnsafeNoPin() Trust { return Trust{unsafe: true} }

// Bundle is what is pinned, nil without a pin.
func (t Trust) Bundle() *Bundle { return t.bundle }

// DialRuntime configures the first connection to a runtime, on which no certificate
// is shown.
func (t Trust) DialRuntime() *tls.Config { return dialConfig(t.verify) }

func (t Trust) verify(state tls.ConnectionState) error {
	switch {
	case t.bundle != nil:
		return verifyPeer(t.bundle, state, Expectation{Roles: []Role{RoleRuntime}, Usage: x509.ExtKeyUsageServerAuth})
	case t.unsafe:
		return nil
	default:
		return errors.New("nothing says whom to trust: pin a CA, or say that none is pinned")
	}
}

// Explain adds to the TLS alert of a refused certificate what it means here: the
// other side knows the cause and keeps it. Other errors are returned as they are.
func Explain(err error) error {
	// The alert itself has no exported type, its texts are RFC 8446 §6.2's names.
	remote, ok := errors.AsType[*net.OpError](err)
	if !ok || remote.Op != "remote error" || !strings.Contains(remote.Err.Error(), "certificate") {
		return err
	}
	if strings.Contains(remote.Err.Error(), "certificate required") {
		return fmt.Errorf("the other side wants a certificate, so it is no runtime that one can join; check the address: %w", err)
	}
	return fmt.Errorf("the other side refused our certificate, and its log says why (another cluster, an old key, a wrong clock or role): %w", err)
}
