package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// maxRequest is the largest certificate request, in bytes; ours has about 200.
const maxRequest = 4 << 10

// ErrRequest is wrapped by every error about a certificate request.
var ErrRequest = errors.New("unusable certificate request")

// Request is a fresh private key and the request to certify it.
type Request struct {
	key ed25519.PrivateKey
	csr []byte
}

// NewRequest makes a key, and the request for it.
func NewRequest() (*Request, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return &Request{key: key, csr: csr}, nil
}

// CSR is the request, PKCS #10 in DER. It names nobody: the authority decides. The
// caller must not change it.
func (r *Request) CSR() []byte { return r.csr }

// Certificate joins the key with the certificate that was issued for it.
func (r *Request) Certificate(der []byte) (*Certificate, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse the issued certificate: %w", err)
	}
	if key, ok := leaf.PublicKey.(ed25519.PublicKey); !ok || !key.Equal(r.key.Public()) {
		return nil, errors.New("the issued certificate is for another key")
	}
	identity, err := IdentityOf(leaf)
	if err != nil {
		return nil, err
	}
	pair := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: r.key, Leaf: leaf}
	return &Certificate{pair: pair, identity: identity}, nil
}

// requestedKey is the key of a request that its own key has signed. RSA is refused
// before any arithmetic: its cost is the requester's choice.
func requestedKey(der []byte) (crypto.PublicKey, error) {
	if len(der) == 0 || len(der) > maxRequest {
		return nil, fmt.Errorf("%w: it has %d bytes, between 1 and %d are allowed", ErrRequest, len(der), maxRequest)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if !acceptable(request.PublicKey) {
		return nil, fmt.Errorf("%w: its key is a %v; use Ed25519 or ECDSA P-256", ErrRequest, request.PublicKeyAlgorithm)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: its key has not signed it: %w", ErrRequest, err)
	}
	return request.PublicKey, nil
}

func acceptable(key crypto.PublicKey) bool {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return true
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256()
	}
	return false
}

// Certificate is a member's own certificate with its private key. It never changes.
type Certificate struct {
	pair     tls.Certificate
	identity Identity
}

// Identity is who the certificate names.
func (c *Certificate) Identity() Identity { return c.identity }

// NotAfter is when the certificate ends.
func (c *Certificate) NotAfter() time.Time { return c.pair.Leaf.NotAfter }

// RenewAt is when to renew it: at 40 to 60 % of its life as draw goes from 0 to 1, so
// that members that started together do not renew together.
func (c *Certificate) RenewAt(draw float64) time.Time {
	issued := c.pair.Leaf.NotBefore.Add(Skew)
	life := c.pair.Leaf.NotAfter.Sub(issued)
	return issued.Add(time.Duration(float64(life) * (0.4 + 0.2*draw)))
}

// DER is the certificate without its key.
func (c *Certificate) DER() []byte { return bytes.Clone(c.pair.Leaf.Raw) }
