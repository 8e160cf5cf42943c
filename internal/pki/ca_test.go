package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const golden = "testdata/ca.pem"

// The certificate of a secret and a cluster never changes, whatever Go's defaults do:
// workers pin it. When this breaks after a Go upgrade, set the field that moved.
func TestCAGolden(t *testing.T) {
	t.Parallel()
	got := testAuthority(t, "prod", "example-runtime-psk-change-me").Bundle().PEM()
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the CA certificate has changed:\n%s\nwant:\n%s", got, want)
	}
	const pin = "3330750d9eff6ad65241bf4504d2e9d2457f140bfb1a509e46fd2b884c10c0c0"
	if got := testAuthority(t, "prod", "example-runtime-psk-change-me").Bundle().Pins()[0].String(); got != pin {
		t.Errorf("the pin is %s, want %s", got, pin)
	}
}

func TestCAIsAFunctionOfSecretAndCluster(t *testing.T) {
	t.Parallel()
	one := testAuthority(t, "prod", hidden).Bundle()
	if again := testAuthority(t, "prod", hidden).Bundle(); !one.Equal(again) {
		t.Error("two replicas derive two certificates")
	}
	// Breaks when the cluster is not part of the label.
	if other := testAuthority(t, "stage", hidden).Bundle(); one.Pins()[0] == other.Pins()[0] {
		t.Error("two clusters share a key")
	}
	if other := testAuthority(t, "prod", hidden+"x").Bundle(); one.Pins()[0] == other.Pins()[0] {
		t.Error("two secrets share a key")
	}
}

func TestCAFields(t *testing.T) {
	t.Parallel()
	certificate := testAuthority(t, "prod", hidden).signer.certificate
	if cluster, err := checkCA(certificate); cluster != "prod" || err != nil {
		t.Errorf("cluster %q, %v", cluster, err)
	}
	if !certificate.NotBefore.Equal(caNotBefore) || !certificate.NotAfter.Equal(caNotAfter) {
		t.Errorf("valid from %v to %v", certificate.NotBefore, certificate.NotAfter)
	}
	if certificate.SerialNumber.Sign() <= 0 || certificate.SerialNumber.BitLen() != 127 {
		t.Errorf("serial %v", certificate.SerialNumber)
	}
	if certificate.KeyUsage != x509.KeyUsageCertSign || len(certificate.SubjectKeyId) != 20 {
		t.Errorf("key usage %b, subject key id %x", certificate.KeyUsage, certificate.SubjectKeyId)
	}
	if !certificate.PermittedDNSDomainsCritical {
		t.Error("the name constraints are not critical")
	}
}

// The constraints hold in any X.509 library, without our own checks: breaks without
// PermittedURIDomains, and without the path length.
func TestCAConstrainsForeignVerifiers(t *testing.T) {
	t.Parallel()
	authority := testAuthority(t, "prod", hidden)
	verify := func(certificate *x509.Certificate, intermediates ...*x509.Certificate) error {
		pool := x509.NewCertPool()
		for _, intermediate := range intermediates {
			pool.AddCert(intermediate)
		}
		_, err := certificate.Verify(x509.VerifyOptions{Roots: authority.bundle.roots, Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}
	own := forge(t, authority.signer, forgery{uris: []string{aWorker}, usages: bothUsages})
	if err := verify(own.pair.Leaf); err != nil {
		t.Errorf("own member: %v", err)
	}
	foreign := forge(t, authority.signer, forgery{uris: []string{"spiffe://stage.francis.internal/worker/abc"}, usages: bothUsages})
	if err := verify(foreign.pair.Leaf); err == nil {
		t.Error("a worker of stage is verified by the CA of prod")
	}
	middle := forge(t, authority.signer, forgery{uris: []string{aWorker}, ca: true})
	leaf := forge(t, ca{key: ed25519Key(t, middle), certificate: middle.pair.Leaf}, forgery{uris: []string{aWorker}, usages: bothUsages})
	if err := verify(leaf.pair.Leaf, middle.pair.Leaf); err == nil {
		t.Error("a member that is an authority itself has signed another one")
	}
}

func TestBundleRoundTrip(t *testing.T) {
	t.Parallel()
	bundle := testAuthority(t, "prod", hidden, hidden+"2").Bundle()
	parsed, err := ParseBundle(append([]byte("printed by runtime print-ca\n"), bundle.PEM()...))
	if err != nil || !parsed.Equal(bundle) || parsed.Cluster() != "prod" {
		t.Errorf("PEM: %v", err)
	}
	if parsed, err = NewBundle(bundle.DER()); err != nil || !parsed.Equal(bundle) {
		t.Errorf("DER: %v", err)
	}
	if len(bundle.Pins()) != 2 || bundle.Pins()[0] == bundle.Pins()[1] {
		t.Errorf("pins %v", bundle.Pins())
	}
}

func TestBundleErrors(t *testing.T) {
	t.Parallel()
	prod, stage := testAuthority(t, "prod", hidden), testAuthority(t, "stage", hidden)
	leaf := issue(t, prod, RoleWorker, "abc", time.Now())
	damaged := bytes.Clone(prod.signer.certificate.Raw)
	damaged[len(damaged)-1] ^= 1
	tests := map[string]struct {
		make func() error
		want string
	}{
		"empty":        {parsing(""), "print-ca"},
		"no PEM":       {parsing("hello"), "print-ca"},
		"a key":        {parsing("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "PRIVATE KEY"},
		"two clusters": {parsing(string(prod.Bundle().PEM()) + string(stage.Bundle().PEM())), "two clusters"},
		"a leaf":       {reading(leaf.DER()), "not a CA of Francis"},
		"damaged":      {reading(damaged), "not signed by itself"},
		"no DER":       {reading([]byte("x")), "x509"},
		"none":         {reading(), "between 1 and 16"},
		"many":         {reading(make([][]byte, 17)...), "between 1 and 16"},
	}
	for name, test := range tests {
		if err := test.make(); !errors.Is(err, ErrBundle) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func parsing(text string) func() error {
	return func() error { _, err := ParseBundle([]byte(text)); return err }
}

func reading(ders ...[]byte) func() error {
	return func() error { _, err := NewBundle(ders); return err }
}

func TestDeriveCASeed(t *testing.T) {
	t.Parallel()
	// The label as the design writes it: changing it changes every CA.
	seed := mustSecret(t, "example-runtime-psk-change-me").Derive("ca/ed25519/v1|prod")
	if got := testAuthority(t, "prod", "example-runtime-psk-change-me").signer.key.Seed(); !bytes.Equal(got, seed) {
		t.Errorf("the seed is %s", hex.EncodeToString(got))
	}
}
