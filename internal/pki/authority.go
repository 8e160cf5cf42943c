package pki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

const (
	// WorkerTTL is how long the certificate of a worker or a client is valid.
	WorkerTTL = time.Hour
	// RuntimeTTL is how long the certificate of a runtime is valid.
	RuntimeTTL = 24 * time.Hour
	// MaxTTL is the longest that any certificate is valid.
	MaxTTL = 30 * 24 * time.Hour
	// Skew is how far back a certificate begins, so that a machine whose clock is
	// slow by less accepts a fresh one.
	Skew = 5 * time.Minute
)

// Authority signs the certificates of a cluster. It never changes, and is safe for
// concurrent use.
type Authority struct {
	signer ca
	bundle *Bundle
}

// NewAuthority derives the authority of a cluster from its runtime secrets: the
// first signs, all verify. A rotation appends the new secret everywhere, moves it to
// the front everywhere, then drops the old one.
func NewAuthority(cluster string, secrets ...Secret) (*Authority, error) {
	if err := CheckCluster(cluster); err != nil {
		return nil, err
	}
	if err := checkSecrets(secrets); err != nil {
		return nil, err
	}
	authority := &Authority{}
	certificates := make([]*x509.Certificate, 0, len(secrets))
	for i, secret := range secrets {
		derived, err := deriveCA(secret, cluster)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			authority.signer = derived
		}
		certificates = append(certificates, derived.certificate)
	}
	var err error
	authority.bundle, err = bundle(certificates)
	return authority, err
}

func checkSecrets(secrets []Secret) error {
	if len(secrets) == 0 || len(secrets) > maxAuthorities {
		return fmt.Errorf("%w: there are %d runtime PSKs, between 1 and %d are allowed; make one with `%s`", ErrSecret, len(secrets), maxAuthorities, genKeyCommand)
	}
	for i, secret := range secrets {
		if secret.IsZero() {
			return fmt.Errorf("%w: runtime PSK %d is missing; make one with `%s`", ErrSecret, i+1, genKeyCommand)
		}
		for j, earlier := range secrets[:i] {
			if secret.Equal(earlier) {
				return fmt.Errorf("%w: runtime PSKs %d and %d are the same (%s); drop one", ErrSecret, j+1, i+1, secret.KeyID())
			}
		}
	}
	return nil
}

// Bundle returns what verifies the members.
func (a *Authority) Bundle() *Bundle { return a.bundle }

// Cluster is the name of the cluster.
func (a *Authority) Cluster() string { return a.bundle.cluster }

// Order is a certificate to be issued.
type Order struct {
	// Identity is who it names. Its cluster must be the authority's, or empty for it.
	Identity Identity
	// CSR is the request, PKCS #10 in DER. Only its key counts: names, extensions
	// and attributes are ignored.
	CSR []byte
	// TTL is how long it is valid, at most [MaxTTL]; 0 is what its role has
	// ([WorkerTTL], [RuntimeTTL]).
	TTL time.Duration
}

// Issue signs a certificate, in DER, that begins [Skew] before now. The request must
// be signed by its own key (proof of possession); an error about it wraps
// [ErrRequest].
func (a *Authority) Issue(order Order, now time.Time) ([]byte, error) {
	identity, err := a.own(order.Identity)
	if err != nil {
		return nil, err
	}
	ttl := order.TTL
	if ttl == 0 {
		ttl = defaultTTL(identity.Role)
	}
	if ttl < 0 || ttl > MaxTTL {
		return nil, fmt.Errorf("a certificate cannot be valid for %v: between 0 and %v is allowed", ttl, MaxTTL)
	}
	public, err := requestedKey(order.CSR)
	if err != nil {
		return nil, err
	}
	template := leafTemplate(identity)
	template.NotBefore, template.NotAfter = now.Add(-Skew), now.Add(ttl)
	der, err := x509.CreateCertificate(rand.Reader, template, a.signer.certificate, public, a.signer.key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate for %v: %w", identity, err)
	}
	return der, nil
}

// own fills in the cluster, and refuses an identity of another one.
func (a *Authority) own(identity Identity) (Identity, error) {
	if identity.Cluster == "" {
		identity.Cluster = a.Cluster()
	}
	if err := identity.Check(); err != nil {
		return Identity{}, err
	}
	if identity.Cluster != a.Cluster() {
		return Identity{}, fmt.Errorf("%w: %v is not of the cluster %q", ErrWrongCluster, identity, a.Cluster())
	}
	return identity, nil
}

// IssueRuntime makes a key and a certificate for a runtime itself. The chain carries
// the CA certificate, so that a first contact can see who signed.
func (a *Authority) IssueRuntime(id string, now time.Time) (*Certificate, error) {
	request, err := NewRequest()
	if err != nil {
		return nil, err
	}
	der, err := a.Issue(Order{Identity: Identity{Role: RoleRuntime, ID: id}, CSR: request.CSR()}, now)
	if err != nil {
		return nil, err
	}
	certificate, err := request.Certificate(der)
	if err != nil {
		return nil, err
	}
	certificate.pair.Certificate = append(certificate.pair.Certificate, a.signer.certificate.Raw)
	return certificate, nil
}

func defaultTTL(role Role) time.Duration {
	if role == RoleRuntime {
		return RuntimeTTL
	}
	return WorkerTTL
}

func leafTemplate(identity Identity) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          leafSerial(),
		Subject:               pkix.Name{Organization: []string{organization}, CommonName: identity.ID},
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           usages(identity.Role),
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{identity.url()},
	}
}

// usages lets a client only dial: nobody may serve with its certificate.
func usages(role Role) []x509.ExtKeyUsage {
	if role == RoleClient {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
}

// leafSerial is 127 random bits, positive and never 0.
func leafSerial() *big.Int {
	number := make([]byte, 16)
	_, _ = rand.Read(number) // never fails (crypto/rand)
	number[0] = number[0]&0x7f | 0x40
	return new(big.Int).SetBytes(number)
}
