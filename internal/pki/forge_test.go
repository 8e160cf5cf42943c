package pki

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

func uriName(text string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tagURI, Bytes: []byte(text)}
}

func withSAN(value []byte) *x509.Certificate {
	return &x509.Certificate{Extensions: []pkix.Extension{{Id: oidSAN, Value: value}}}
}

func withNames(t testing.TB, names ...asn1.RawValue) *x509.Certificate {
	t.Helper()
	value, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return withSAN(value)
}

func testAuthority(t testing.TB, cluster string, texts ...string) *Authority {
	t.Helper()
	secrets := make([]Secret, 0, len(texts))
	for _, text := range texts {
		secrets = append(secrets, mustSecret(t, text))
	}
	authority, err := NewAuthority(cluster, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// issue makes a member of the authority as a join would.
func issue(t testing.TB, authority *Authority, role Role, id string, now time.Time) *Certificate {
	t.Helper()
	request, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	der, err := authority.Issue(Order{Identity: Identity{Role: role, ID: id}, CSR: request.CSR()}, now)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := request.Certificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// forgery is a certificate that our Issue would never sign, signed all the same by
// whoever holds the key of the authority.
type forgery struct {
	uris   []string
	usages []x509.ExtKeyUsage
	begin  time.Time
	end    time.Time
	ca     bool
}

func forge(t testing.TB, signer ca, f forgery) *Certificate {
	t.Helper()
	names := make([]asn1.RawValue, 0, len(f.uris))
	for _, uri := range f.uris {
		names = append(names, uriName(uri))
	}
	san, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if f.begin.IsZero() {
		f.begin = time.Now().Add(-time.Minute)
	}
	if f.end.IsZero() {
		f.end = time.Now().Add(time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: f.begin, NotAfter: f.end, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: f.usages, ExtraExtensions: []pkix.Extension{{Id: oidSAN, Value: san}},
		BasicConstraintsValid: true, IsCA: f.ca,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.certificate, public, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Certificate{pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}
}

var bothUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
