package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Why a member's certificate is refused. Every refusal wraps one of these or
// [ErrIdentity], and says what to do.
var (
	// ErrNoCertificate means that the other side showed none.
	ErrNoCertificate = errors.New("no certificate")
	// ErrWrongCluster means that it is of another cluster.
	ErrWrongCluster = errors.New("certificate of another cluster")
	// ErrNotYetValid means that it begins later than this machine's clock says.
	ErrNotYetValid = errors.New("certificate not yet valid")
	// ErrExpired means that it ended.
	ErrExpired = errors.New("certificate expired")
	// ErrWrongUsage means that it may not be used on that side of a connection.
	ErrWrongUsage = errors.New("certificate for another use")
	// ErrUnknownAuthority means that no known authority has signed it.
	ErrUnknownAuthority = errors.New("certificate of an unknown authority")
	// ErrWrongRole means that a member of that role does not belong there.
	ErrWrongRole = errors.New("certificate of another role")
	// ErrWrongMember means that it names another member than the expected one.
	ErrWrongMember = errors.New("certificate of another member")
)

// Expectation is what the other side of a connection must be.
type Expectation struct {
	// Roles are the roles that it may have.
	Roles []Role
	// ID is the id that it must have; empty for any.
	ID string
	// Usage is the side on which it showed the certificate.
	Usage x509.ExtKeyUsage
}

// Verify reports why the certificate is not what is expected, at a time. Only the
// certificate itself counts: members are signed by an authority directly, so what
// else was sent is ignored.
func (b *Bundle) Verify(certificate *x509.Certificate, want Expectation, now time.Time) (Identity, error) {
	identity, err := IdentityOf(certificate)
	if err != nil {
		return Identity{}, err
	}
	if identity.Cluster != b.cluster {
		return Identity{}, fmt.Errorf("%w: %v is not of %q; check the address, and the pinned CA", ErrWrongCluster, identity, b.cluster)
	}
	if err := checkTime(certificate, identity, now); err != nil {
		return Identity{}, err
	}
	if err := b.checkSigned(certificate, identity, want.Usage, now); err != nil {
		return Identity{}, err
	}
	return identity, want.check(identity)
}

func checkTime(certificate *x509.Certificate, identity Identity, now time.Time) error {
	const layout = time.RFC3339
	switch {
	case now.Before(certificate.NotBefore):
		return fmt.Errorf("%w: %v begins at %s and this machine's clock says %s; set the clocks of both machines",
			ErrNotYetValid, identity, certificate.NotBefore.Format(layout), now.UTC().Format(layout))
	case now.After(certificate.NotAfter):
		return fmt.Errorf("%w: %v ended at %s and this machine's clock says %s; if the clocks are right, restart that member so that it joins again",
			ErrExpired, identity, certificate.NotAfter.Format(layout), now.UTC().Format(layout))
	}
	return nil
}

func (b *Bundle) checkSigned(certificate *x509.Certificate, identity Identity, usage x509.ExtKeyUsage, now time.Time) error {
	_, err := certificate.Verify(x509.VerifyOptions{Roots: b.roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
	if err == nil {
		return nil
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.IncompatibleUsage {
		return fmt.Errorf("%w: %v may not %s", ErrWrongUsage, identity, deed(usage))
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w: %v is not signed by a known key of %q (known: %s); pin what `runtime print-ca` prints now, and check that nothing between terminates TLS",
			ErrUnknownAuthority, identity, b.cluster, b.describe())
	}
	return fmt.Errorf("%w: %v: %w", ErrUnknownAuthority, identity, err)
}

func deed(usage x509.ExtKeyUsage) string {
	if usage == x509.ExtKeyUsageServerAuth {
		return "serve"
	}
	return "dial"
}

func (e Expectation) check(identity Identity) error {
	if !slices.Contains(e.Roles, identity.Role) {
		return fmt.Errorf("%w: %v is here, a %s is expected; check the address", ErrWrongRole, identity, e.roles())
	}
	if e.ID != "" && identity.ID != e.ID {
		return fmt.Errorf("%w: %v is here, %q is expected; the address has a new owner", ErrWrongMember, identity, e.ID)
	}
	return nil
}

func (e Expectation) roles() string {
	names := make([]string, 0, len(e.Roles))
	for _, role := range e.Roles {
		names = append(names, string(role))
	}
	return strings.Join(names, " or ")
}
