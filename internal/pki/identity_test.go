package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
)

const aWorker = "spiffe://prod.francis.internal/worker/abc234"

func TestParseIdentity(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Identity{
		aWorker: {"prod", RoleWorker, "abc234"},
		"spiffe://a-b.francis.internal/runtime/r-1": {"a-b", RoleRuntime, "r-1"},
		"spiffe://0.francis.internal/client/x":      {"0", RoleClient, "x"},
	} {
		got, err := ParseIdentity(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// Every case is a spelling by which some parser would see another member.
var identityTricks = map[string]string{
	"empty":               "",
	"no scheme":           "prod.francis.internal/worker/abc",
	"other scheme":        "https://prod.francis.internal/worker/abc",
	"upper scheme":        "SPIFFE://prod.francis.internal/worker/abc",
	"upper cluster":       "spiffe://PROD.francis.internal/worker/abc",
	"upper domain":        "spiffe://prod.FRANCIS.internal/worker/abc",
	"upper role":          "spiffe://prod.francis.internal/Worker/abc",
	"upper id":            "spiffe://prod.francis.internal/worker/ABC",
	"no cluster":          "spiffe://.francis.internal/worker/abc",
	"bare suffix":         "spiffe://francis.internal/worker/abc",
	"sub-domain":          "spiffe://x.prod.francis.internal/worker/abc",
	"other domain":        "spiffe://prod.francis.internal.evil.example/worker/abc",
	"glued domain":        "spiffe://prodfrancis.internal/worker/abc",
	"trailing dot":        "spiffe://prod.francis.internal./worker/abc",
	"userinfo":            "spiffe://me@prod.francis.internal/worker/abc",
	"userinfo elsewhere":  "spiffe://prod.francis.internal@evil.example/worker/abc",
	"port":                "spiffe://prod.francis.internal:443/worker/abc",
	"empty port":          "spiffe://prod.francis.internal:/worker/abc",
	"query":               aWorker + "?role=runtime",
	"empty query":         aWorker + "?",
	"fragment":            aWorker + "#x",
	"empty fragment":      aWorker + "#",
	"dot segment":         "spiffe://prod.francis.internal/worker/../runtime/abc",
	"dot segments":        "spiffe://prod.francis.internal/worker/../runtime",
	"dot id":              "spiffe://prod.francis.internal/worker/.",
	"dot dot id":          "spiffe://prod.francis.internal/worker/..",
	"double slash":        "spiffe://prod.francis.internal//worker/abc",
	"double slash inside": "spiffe://prod.francis.internal/worker//abc",
	"trailing slash":      aWorker + "/",
	"more path":           aWorker + "/runtime",
	"escaped slash":       "spiffe://prod.francis.internal/worker/abc%2fruntime",
	"escaped dots":        "spiffe://prod.francis.internal/worker/%2e%2e",
	"escaped letter":      "spiffe://prod.francis.internal/worker/%61bc",
	"escaped role":        "spiffe://prod.francis.internal/%77orker/abc",
	"escaped host":        "spiffe://pr%6fd.francis.internal/worker/abc",
	"backslash":           `spiffe://prod.francis.internal/worker\..\runtime/abc`,
	"no path":             "spiffe://prod.francis.internal",
	"no role":             "spiffe://prod.francis.internal/",
	"no id":               "spiffe://prod.francis.internal/worker",
	"empty id":            "spiffe://prod.francis.internal/worker/",
	"unknown role":        "spiffe://prod.francis.internal/admin/abc",
	"role as prefix":      "spiffe://prod.francis.internal/runtimes/abc",
	"space":               aWorker + " ",
	"line end":            aWorker + "\n",
	"nul":                 aWorker + "\x00",
	"not ASCII":           "spiffe://prod.francis.internal/worker/аbc", // Cyrillic а
	"two":                 aWorker + "," + aWorker,
	"outer dash":          "spiffe://prod.francis.internal/worker/-abc",
	"long id":             "spiffe://prod.francis.internal/worker/" + strings.Repeat("a", 64),
	"long cluster":        "spiffe://" + strings.Repeat("a", 64) + ".francis.internal/worker/abc",
}

// Breaks when ParseIdentity goes through net/url, or drops any check of its grammar.
func TestIdentityTricks(t *testing.T) {
	t.Parallel()
	for name, text := range identityTricks {
		if got, err := ParseIdentity(text); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: %q is read as %v, %v", name, text, got, err)
		}
		if got, err := IdentityOf(withNames(t, uriName(text))); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: a certificate with %q is read as %v, %v", name, text, got, err)
		}
	}
}

// Breaks without the count of names, without the tag, or when URIs are counted
// instead of names.
func TestIdentityOfNeedsOneURI(t *testing.T) {
	t.Parallel()
	dns := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(aWorker)}
	compound := uriName(aWorker)
	compound.IsCompound = true
	tests := map[string]*x509.Certificate{
		"no extension":  {},
		"no names":      withNames(t),
		"two URIs":      withNames(t, uriName(aWorker), uriName("spiffe://prod.francis.internal/runtime/abc")),
		"the same two":  withNames(t, uriName(aWorker), uriName(aWorker)),
		"URI and DNS":   withNames(t, uriName(aWorker), dns),
		"DNS":           withNames(t, dns),
		"compound":      withNames(t, compound),
		"trailing data": withSAN(append(withNames(t, uriName(aWorker)).Extensions[0].Value, 5, 0)),
		"no ASN.1":      withSAN([]byte("x")),
	}
	for name, certificate := range tests {
		if got, err := IdentityOf(certificate); !errors.Is(err, ErrIdentity) {
			t.Errorf("%s: read as %v, %v", name, got, err)
		}
	}
	if got, err := IdentityOf(withNames(t, uriName(aWorker))); err != nil || got.String() != aWorker {
		t.Errorf("one URI: %v, %v", got, err)
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := NewID()
		if len(id) != 26 || seen[id] || (Identity{"c", RoleWorker, id}).Check() != nil {
			t.Fatalf("bad id %q", id)
		}
		seen[id] = true
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(aWorker)
	for _, text := range identityTricks {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		identity, err := ParseIdentity(text)
		if err != nil {
			return
		}
		if identity.String() != text {
			t.Errorf("%q is a second spelling of %v", text, identity)
		}
		// What net/url makes of it is the same member.
		if got := identity.url().String(); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}

func FuzzSoleURI(f *testing.F) {
	f.Add(withNames(f, uriName(aWorker)).Extensions[0].Value)
	f.Fuzz(func(t *testing.T, extension []byte) {
		text, err := soleURI(extension)
		if err != nil && text != "" {
			t.Errorf("an error with %q", text)
		}
	})
}
