package pki

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// caLabel derives the seed of a cluster's Ed25519 key. The algorithm is part of the
// label, so another one can be added beside it.
const caLabel = "ca/ed25519/v1|"

// organization marks our certificates for people.
const organization = "Francis"

// A CA certificate is valid for as long as its secret is configured: these are the
// epoch of Unix and the date that stands for no end (RFC 5280 §4.1.2.5).
var (
	caNotBefore = time.Unix(0, 0).UTC()
	caNotAfter  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// ca is one certificate authority: what one secret is for one cluster.
type ca struct {
	key         ed25519.PrivateKey
	certificate *x509.Certificate
}

// deriveCA is a pure function of secret and cluster: Ed25519 takes any 32 bytes as a
// seed, without bias, and its signatures are deterministic (RFC 8032 §5.1.6).
func deriveCA(secret Secret, cluster string) (ca, error) {
	key := ed25519.NewKeyFromSeed(secret.Derive(caLabel + cluster))
	template, err := caTemplate(key, cluster)
	if err != nil {
		return ca{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return ca{}, fmt.Errorf("create the CA certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return ca{}, fmt.Errorf("parse the CA certificate: %w", err)
	}
	return ca{key: key, certificate: certificate}, nil
}

// caTemplate sets every field that CreateCertificate would otherwise choose, because
// its choices change between releases of Go (SubjectKeyId did in 1.25).
func caTemplate(key ed25519.PrivateKey, cluster string) (*x509.Certificate, error) {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode the CA key: %w", err)
	}
	sum := sha256.Sum256(public)
	return &x509.Certificate{
		SerialNumber:                caSerial(sum),
		Subject:                     caSubject(cluster),
		NotBefore:                   caNotBefore,
		NotAfter:                    caNotAfter,
		KeyUsage:                    x509.KeyUsageCertSign,
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLen:                  0,
		MaxPathLenZero:              true,
		SubjectKeyId:                sum[:20],
		SignatureAlgorithm:          x509.PureEd25519,
		PermittedURIDomains:         []string{Domain(cluster)},
		PermittedDNSDomainsCritical: true, // of all name constraints, despite its name
	}, nil
}

func caSubject(cluster string) pkix.Name {
	return pkix.Name{Organization: []string{organization}, CommonName: cluster}
}

// caSerial is 127 bits of the key's hash: positive, and never 0 (RFC 5280 §4.1.2.2).
func caSerial(sum [sha256.Size]byte) *big.Int {
	number := bytes.Clone(sum[:16])
	number[0] = number[0]&0x7f | 0x40
	return new(big.Int).SetBytes(number)
}

// Pin names an authority by its key: the SHA-256 of the SubjectPublicKeyInfo. It
// survives a new certificate for the same key.
type Pin [sha256.Size]byte

// PinOf is the pin of a certificate.
func PinOf(certificate *x509.Certificate) Pin {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}

// String is the pin in hex.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

// checkCA reads the cluster of a CA certificate, and reports why it is none of ours.
func checkCA(certificate *x509.Certificate) (cluster string, err error) {
	cluster = certificate.Subject.CommonName
	if err := CheckCluster(cluster); err != nil {
		return "", err
	}
	switch {
	case !certificate.IsCA || !certificate.BasicConstraintsValid || !certificate.MaxPathLenZero:
		return "", fmt.Errorf("it is not an authority with path length 0")
	case !slices.Equal(certificate.PermittedURIDomains, []string{Domain(cluster)}):
		return "", fmt.Errorf("it is not limited to %s", Domain(cluster))
	}
	if err := certificate.CheckSignatureFrom(certificate); err != nil {
		return "", fmt.Errorf("it is not signed by itself: %w", err)
	}
	return cluster, nil
}
