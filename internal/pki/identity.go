package pki

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Role is what a member of the cluster is.
type Role string

const (
	// RoleWorker hosts actors.
	RoleWorker Role = "worker"
	// RoleRuntime owns state and placement, and signs.
	RoleRuntime Role = "runtime"
	// RoleClient only calls.
	RoleClient Role = "client"
)

// DefaultCluster is the name of a cluster that was given none.
const DefaultCluster = "default"

const (
	scheme = "spiffe://"
	// domainSuffix makes a cluster's name a trust domain. The top-level domain
	// "internal" is reserved for private use (ICANN resolution 2024.07.29.06).
	domainSuffix = ".francis.internal"
	// maxLabel is the largest cluster name and id: a DNS label (RFC 1035 §2.3.4).
	maxLabel = 63
)

// ErrIdentity is wrapped by every error about an identity that cannot be read. Its
// text quotes at most 100 bytes of it, because strangers choose what we log.
var ErrIdentity = errors.New("malformed identity")

// Identity is who a member is: one SPIFFE ID. The zero Identity is nobody.
type Identity struct {
	// Cluster is the name of the cluster.
	Cluster string
	// Role is what the member is.
	Role Role
	// ID is unique for cluster and role.
	ID string
}

// NewID returns a fresh random id: 128 bits in lower-case base32 (RFC 4648).
func NewID() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
}

// Domain is the trust domain of a cluster.
func Domain(cluster string) string { return cluster + domainSuffix }

// String is the identity as a certificate carries it, a SPIFFE ID.
func (i Identity) String() string {
	return scheme + Domain(i.Cluster) + "/" + string(i.Role) + "/" + i.ID
}

// url is the identity as crypto/x509 takes it.
func (i Identity) url() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: Domain(i.Cluster), Path: "/" + string(i.Role) + "/" + i.ID}
}

// Check reports why no certificate can carry the identity.
func (i Identity) Check() error {
	if err := CheckCluster(i.Cluster); err != nil {
		return err
	}
	if !i.Role.known() {
		return fmt.Errorf("%w: the role %.100q is not worker, runtime or client", ErrIdentity, i.Role)
	}
	if !isLabel(i.ID) {
		return fmt.Errorf("%w: the id %.100q is not 1 to %d of a–z, 0–9 and inner '-'", ErrIdentity, i.ID, maxLabel)
	}
	return nil
}

// ParseIdentity reads what [Identity.String] writes, and nothing else: there is no
// second spelling, so no escape, dot segment, port or upper case can make two
// readers disagree.
func ParseIdentity(text string) (Identity, error) {
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return Identity{}, fmt.Errorf("%w: %.100q does not start with %s", ErrIdentity, text, scheme)
	}
	domain, path, _ := strings.Cut(rest, "/")
	cluster, ok := strings.CutSuffix(domain, domainSuffix)
	if !ok {
		return Identity{}, fmt.Errorf("%w: %.100q is not under %s", ErrIdentity, text, domainSuffix)
	}
	role, id, _ := strings.Cut(path, "/")
	identity := Identity{Cluster: cluster, Role: Role(role), ID: id}
	if err := identity.Check(); err != nil {
		return Identity{}, err
	}
	return identity, nil
}

// CheckCluster reports why name cannot name a cluster: it must be 1 to 63 of a–z,
// 0–9 and inner '-'.
func CheckCluster(name string) error {
	if !isLabel(name) {
		return fmt.Errorf("%w: the cluster name %.100q is not 1 to %d of a–z, 0–9 and inner '-'", ErrIdentity, name, maxLabel)
	}
	return nil
}

func (r Role) known() bool { return r == RoleWorker || r == RoleRuntime || r == RoleClient }

func isLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// oidSAN is the subject alternative name (RFC 5280 §4.2.1.6).
var oidSAN = asn1.ObjectIdentifier{2, 5, 29, 17}

// tagURI is the context tag of a uniformResourceIdentifier among general names.
const tagURI = 6

// IdentityOf reads the identity of a certificate, which must carry exactly one
// alternative name, a URI (SPIFFE X509-SVID §2). It does not verify the certificate.
func IdentityOf(certificate *x509.Certificate) (Identity, error) {
	for _, extension := range certificate.Extensions {
		if extension.Id.Equal(oidSAN) {
			text, err := soleURI(extension.Value)
			if err != nil {
				return Identity{}, err
			}
			return ParseIdentity(text)
		}
	}
	return Identity{}, fmt.Errorf("%w: the certificate has no URI", ErrIdentity)
}

// soleURI reads the bytes of the extension, because a parsed url.URL has forgotten
// an upper-case scheme and an empty fragment.
func soleURI(extension []byte) (string, error) {
	var names []asn1.RawValue
	rest, err := asn1.Unmarshal(extension, &names)
	if err != nil || len(rest) != 0 || len(names) != 1 {
		return "", fmt.Errorf("%w: the certificate needs exactly one alternative name, it has %d", ErrIdentity, len(names))
	}
	name := names[0]
	if name.Class != asn1.ClassContextSpecific || name.Tag != tagURI || name.IsCompound {
		return "", fmt.Errorf("%w: the alternative name of the certificate is no URI", ErrIdentity)
	}
	return string(name.Bytes), nil
}

// PeerOf is the identity of the other side of a connection whose configuration came
// from this package, and therefore verified it. False means that the other side
// showed no certificate.
func PeerOf(state tls.ConnectionState) (Identity, bool) {
	if len(state.PeerCertificates) == 0 {
		return Identity{}, false
	}
	identity, err := IdentityOf(state.PeerCertificates[0])
	return identity, err == nil
}
