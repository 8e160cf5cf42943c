package join

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pki"
)

// member checks that what was issued fits together: the server knows the secret, but
// a mistake of its own must not become a member that nobody accepts.
func (a *attempt) member(issued *runtimev1.JoinIssued) (*Membership, error) {
	bundle, err := a.bundle(issued)
	if err != nil {
		return nil, err
	}
	certificate, err := a.key.Certificate(issued.GetCertificate())
	if err != nil {
		return nil, err
	}
	if err := verifyOwn(bundle, certificate, a.request.Role, issued.GetWorker()); err != nil {
		return nil, fmt.Errorf("the runtime issued a wrong certificate: %w", err)
	}
	lease := issued.GetLease().AsDuration()
	if lease <= 0 {
		return nil, errors.New("the runtime granted no lease")
	}
	return &Membership{
		ID:      issued.GetWorker(),
		Cluster: bundle.Cluster(),
		Holder:  pki.NewHolder(certificate, bundle),
		Lease:   lease,
	}, nil
}

// bundle reads the authorities. They must verify the runtime of this connection: so
// even without a pin, what is trusted from now on is who was talked to.
func (a *attempt) bundle(issued *runtimev1.JoinIssued) (*pki.Bundle, error) {
	bundle, err := pki.NewBundle(issued.GetAuthorities())
	if err != nil {
		return nil, err
	}
	if bundle.Cluster() != issued.GetCluster() {
		return nil, fmt.Errorf("%w: the runtime is of %q and its authorities of %q", pki.ErrWrongCluster, issued.GetCluster(), bundle.Cluster())
	}
	state := a.line.conn.ConnectionState()
	want := pki.Expectation{Roles: []pki.Role{pki.RoleRuntime}, Usage: x509.ExtKeyUsageServerAuth}
	if _, err := bundle.Verify(state.PeerCertificates[0], want, time.Now()); err != nil {
		return nil, fmt.Errorf("the runtime does not fit the authorities that it names: %w", err)
	}
	return bundle, nil
}

// verifyOwn checks a new certificate as its peers will, from either side; a client only
// dials.
func verifyOwn(bundle *pki.Bundle, certificate *pki.Certificate, role pki.Role, id string) error {
	leaf, err := x509.ParseCertificate(certificate.DER())
	if err != nil {
		return err
	}
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if role == pki.RoleWorker {
		usages = append(usages, x509.ExtKeyUsageServerAuth)
	}
	for _, usage := range usages {
		want := pki.Expectation{Roles: []pki.Role{role}, ID: id, Usage: usage}
		if _, err := bundle.Verify(leaf, want, time.Now()); err != nil {
			return err
		}
	}
	return nil
}
