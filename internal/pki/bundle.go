package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const pemCertificate = "CERTIFICATE"

// maxAuthorities bounds a bundle: a rotation needs two.
const maxAuthorities = 16

// ErrBundle is wrapped by every error about a bundle that cannot be read.
var ErrBundle = errors.New("unusable CA certificates")

// Bundle is what verifies the members of one cluster: its CA certificates, the
// signing one first. It never changes.
type Bundle struct {
	cluster      string
	certificates []*x509.Certificate
	roots        *x509.CertPool
}

// ParseBundle reads the CA certificates that `runtime print-ca` prints, one or more,
// in PEM.
func ParseBundle(text []byte) (*Bundle, error) {
	var ders [][]byte
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != pemCertificate {
			return nil, fmt.Errorf("%w: there is a %q block among them; keep only what `runtime print-ca` prints", ErrBundle, block.Type)
		}
		ders = append(ders, block.Bytes)
	}
	if len(ders) == 0 {
		return nil, fmt.Errorf("%w: there is no PEM certificate; print it with `runtime print-ca`", ErrBundle)
	}
	return NewBundle(ders)
}

// NewBundle reads CA certificates in DER, the signing one first. All must be of one
// cluster.
func NewBundle(ders [][]byte) (*Bundle, error) {
	if len(ders) == 0 || len(ders) > maxAuthorities {
		return nil, fmt.Errorf("%w: there are %d, between 1 and %d are allowed", ErrBundle, len(ders), maxAuthorities)
	}
	certificates := make([]*x509.Certificate, 0, len(ders))
	for _, der := range ders {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBundle, err)
		}
		certificates = append(certificates, certificate)
	}
	return bundle(certificates)
}

func bundle(certificates []*x509.Certificate) (*Bundle, error) {
	b := &Bundle{certificates: certificates, roots: x509.NewCertPool()}
	for _, certificate := range certificates {
		cluster, err := checkCA(certificate)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is not a CA of Francis: %w; print the right one with `runtime print-ca`", ErrBundle, certificate.Subject, err)
		}
		if b.cluster != "" && cluster != b.cluster {
			return nil, fmt.Errorf("%w: they are of two clusters, %q and %q; keep one", ErrBundle, b.cluster, cluster)
		}
		b.cluster = cluster
		b.roots.AddCert(certificate)
	}
	return b, nil
}

// Cluster is the name of the cluster.
func (b *Bundle) Cluster() string { return b.cluster }

// DER returns the certificates, the signing one first. The caller must not change
// them.
func (b *Bundle) DER() [][]byte {
	ders := make([][]byte, 0, len(b.certificates))
	for _, certificate := range b.certificates {
		ders = append(ders, certificate.Raw)
	}
	return ders
}

// PEM returns the certificates, the signing one first.
func (b *Bundle) PEM() []byte {
	var text bytes.Buffer
	for _, certificate := range b.certificates {
		_ = pem.Encode(&text, &pem.Block{Type: pemCertificate, Bytes: certificate.Raw}) // a Buffer takes all
	}
	return text.Bytes()
}

// Pins returns the pins of the authorities, the signing one first.
func (b *Bundle) Pins() []Pin {
	pins := make([]Pin, 0, len(b.certificates))
	for _, certificate := range b.certificates {
		pins = append(pins, PinOf(certificate))
	}
	return pins
}

// Equal reports whether both hold the same certificates in the same order.
func (b *Bundle) Equal(other *Bundle) bool {
	return slices.EqualFunc(b.DER(), other.DER(), bytes.Equal)
}

// describe names the authorities for an error.
func (b *Bundle) describe() string {
	pins := make([]string, 0, len(b.certificates))
	for _, pin := range b.Pins() {
		pins = append(pins, pin.String()[:16]+"…")
	}
	return strings.Join(pins, ", ")
}
