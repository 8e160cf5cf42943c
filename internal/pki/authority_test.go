package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func ed25519Key(t testing.TB, certificate *Certificate) ed25519.PrivateKey {
	t.Helper()
	key, ok := certificate.pair.PrivateKey.(ed25519.PrivateKey)
	if !ok {
		t.Fatal("the key is not Ed25519")
	}
	return key
}

func TestNewAuthorityErrors(t *testing.T) {
	t.Parallel()
	one, two := mustSecret(t, hidden), mustSecret(t, hidden+"2")
	tests := map[string]struct {
		cluster string
		secrets []Secret
		want    error
	}{
		"no secret":     {"prod", nil, ErrSecret},
		"zero secret":   {"prod", []Secret{one, {}}, ErrSecret},
		"same secrets":  {"prod", []Secret{one, two, mustSecret(t, hidden)}, ErrSecret},
		"empty cluster": {"", []Secret{one}, ErrIdentity},
		"bad cluster":   {"a.b", []Secret{one}, ErrIdentity},
	}
	for name, test := range tests {
		if _, err := NewAuthority(test.cluster, test.secrets...); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIssueByRole(t *testing.T) {
	t.Parallel()
	authority, now := testAuthority(t, "prod", hidden), time.Now().Truncate(time.Second)
	tests := map[Role]struct {
		ttl    time.Duration
		usages []x509.ExtKeyUsage
	}{
		RoleWorker:  {time.Hour, bothUsages},
		RoleRuntime: {24 * time.Hour, bothUsages},
		RoleClient:  {time.Hour, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
	}
	for role, test := range tests {
		certificate := issue(t, authority, role, "abc", now)
		leaf := certificate.pair.Leaf
		if certificate.Identity() != (Identity{"prod", role, "abc"}) || !slices.Equal(leaf.ExtKeyUsage, test.usages) {
			t.Errorf("%s: %v, usages %v", role, certificate.Identity(), leaf.ExtKeyUsage)
		}
		if !leaf.NotBefore.Equal(now.Add(-Skew)) || !leaf.NotAfter.Equal(now.Add(test.ttl)) {
			t.Errorf("%s: from %v to %v", role, leaf.NotBefore, leaf.NotAfter)
		}
		if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
			t.Errorf("%s: CA %v, key usage %b", role, leaf.IsCA, leaf.KeyUsage)
		}
	}
}

// Breaks when anything but the key is taken from a request.
func TestIssueIgnoresNames(t *testing.T) {
	t.Parallel()
	authority := testAuthority(t, "prod", hidden)
	runtime := Identity{"prod", RoleRuntime, "me"}.url()
	der, err := authority.Issue(Order{
		Identity: Identity{Role: RoleWorker, ID: "abc"},
		CSR: csr(t, nil, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: "root"}, DNSNames: []string{"evil.example"}, IPAddresses: []net.IP{{127, 0, 0, 1}},
			URIs: []*url.URL{runtime}, EmailAddresses: []string{"a@b"},
			ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}}, // CA: true
		}),
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	identity, err := IdentityOf(leaf)
	if err != nil || identity != (Identity{"prod", RoleWorker, "abc"}) {
		t.Errorf("the identity is %v, %v", identity, err)
	}
	if leaf.IsCA || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.EmailAddresses) != 0 || leaf.Subject.CommonName != "abc" {
		t.Errorf("names of the request were taken: %v", leaf.Subject)
	}
}

// csr makes a request with a key, Ed25519 for nil.
func csr(t *testing.T, key crypto.Signer, template *x509.CertificateRequest) []byte {
	t.Helper()
	if key == nil {
		_, key, _ = ed25519.GenerateKey(rand.Reader)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestIssueRefusesRequests(t *testing.T) {
	t.Parallel()
	authority := testAuthority(t, "prod", hidden)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	big, _ := rsa.GenerateKey(rand.Reader, 2048)
	unsigned := csr(t, nil, &x509.CertificateRequest{})
	unsigned[len(unsigned)-1] ^= 1
	swapped := csr(t, nil, &x509.CertificateRequest{})
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	parsed, _ := x509.ParseCertificateRequest(swapped)
	public, _ := parsed.PublicKey.(ed25519.PublicKey)
	swapped = []byte(strings.Replace(string(swapped), string(public), string(other.Public().(ed25519.PublicKey)), 1))
	tests := map[string]struct {
		csr  []byte
		want string
	}{
		"empty":       {nil, "0 bytes"},
		"large":       {make([]byte, maxRequest+1), "4097 bytes"},
		"garbage":     {[]byte("x"), "asn1"},
		"RSA":         {csr(t, big, &x509.CertificateRequest{}), "RSA"},
		"P-384":       {csr(t, p384, &x509.CertificateRequest{}), "ECDSA P-256"},
		"unsigned":    {unsigned, "has not signed it"}, // both break without the proof of possession
		"another key": {swapped, "has not signed it"},
	}
	for name, test := range tests {
		order := Order{Identity: Identity{Role: RoleWorker, ID: "abc"}, CSR: test.csr}
		if _, err := authority.Issue(order, time.Now()); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	order := Order{Identity: Identity{Role: RoleWorker, ID: "abc"}, CSR: csr(t, p256, &x509.CertificateRequest{})}
	if _, err := authority.Issue(order, time.Now()); err != nil {
		t.Errorf("P-256: %v", err)
	}
}

func TestIssueRefusesOrders(t *testing.T) {
	t.Parallel()
	authority := testAuthority(t, "prod", hidden)
	tests := map[string]struct {
		order Order
		want  error
	}{
		"other cluster": {Order{Identity: Identity{"stage", RoleWorker, "abc"}}, ErrWrongCluster},
		"no role":       {Order{Identity: Identity{ID: "abc"}}, ErrIdentity},
		"dots":          {Order{Identity: Identity{Role: RoleWorker, ID: "../runtime"}}, ErrIdentity},
		"long":          {Order{Identity: Identity{Role: RoleWorker, ID: "abc"}, TTL: MaxTTL + 1}, nil},
		"negative":      {Order{Identity: Identity{Role: RoleWorker, ID: "abc"}, TTL: -1}, nil},
	}
	for name, test := range tests {
		test.order.CSR = csr(t, nil, &x509.CertificateRequest{})
		_, err := authority.Issue(test.order, time.Now())
		if err == nil || (test.want != nil && !errors.Is(err, test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequestRefusesAForeignCertificate(t *testing.T) {
	t.Parallel()
	request, err := NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	other := issue(t, testAuthority(t, "prod", hidden), RoleWorker, "abc", time.Now())
	if _, err := request.Certificate(other.DER()); err == nil {
		t.Error("a certificate for another key is accepted")
	}
}

func TestRenewAt(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	certificate := issue(t, testAuthority(t, "prod", hidden), RoleWorker, "abc", now)
	for draw, want := range map[float64]time.Duration{0: 24 * time.Minute, 0.5: 30 * time.Minute, 1: 36 * time.Minute} {
		if got := certificate.RenewAt(draw).Sub(now).Round(time.Second); got != want {
			t.Errorf("draw %v: after %v, want %v", draw, got, want)
		}
	}
}
