package pki

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

const (
	// salt separates everything derived here from other uses of the same secret.
	salt = "francis/v1"
	// keyIDLabel derives the public name of a secret.
	keyIDLabel = "keyid/v1"
	// redacted is what a secret looks like wherever it is printed.
	redacted = "[redacted]"
	// derivedSize is the size of a derived key, in bytes.
	derivedSize = 32
)

// MinSecret is the smallest secret that is accepted at all, in bytes.
const MinSecret = 16

// Secret is a shared secret: a runtime PSK or the host PSK. It never prints itself,
// and nothing outside this package reads its bytes: keys are derived from it. The
// zero Secret is none.
type Secret struct {
	// reveal returns what is behind it. It is a function, because fmt prints the
	// unexported fields of a struct without asking their methods, and follows a
	// pointer for a verb that does not fit; of a function it shows an address.
	reveal func() material
}

type material struct {
	// bytes are what keys are derived from.
	bytes []byte
	// published marks a string that appears in an example.
	published bool
}

func newSecret(m material) Secret { return Secret{func() material { return m }} }

// ErrSecret is wrapped by every error about a secret.
var ErrSecret = errors.New("unusable secret")

// ParseSecret accepts a key of [NewKey], or any other secret of at least
// [MinSecret] bytes. It copies text.
func ParseSecret(text []byte) (Secret, error) {
	if isKey(text) {
		raw, err := parseKey(string(text))
		if err != nil {
			return Secret{}, err
		}
		return newSecret(material{bytes: raw}), nil
	}
	if len(text) < MinSecret {
		return Secret{}, fmt.Errorf("%w: it has %d bytes, at least %d are needed; make a good one with `%s`", ErrSecret, len(text), MinSecret, genKeyCommand)
	}
	return newSecret(material{bytes: bytes.Clone(text), published: published(text)}), nil
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.reveal == nil }

// Equal reports whether both are the same secret, in constant time for secrets of
// one size.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.bytes(), other.bytes()) == 1
}

// Derive returns the 32-byte key of one purpose: HKDF-SHA256 (RFC 5869) with the
// purpose as info. Keys of different labels say nothing about each other.
func (s Secret) Derive(label string) []byte {
	key, err := hkdf.Key(sha256.New, s.bytes(), []byte(salt), label, derivedSize)
	if err != nil {
		panic("pki: derive " + label + ": " + err.Error()) //nolint:forbidigo // only more than 255 hashes of output fail, and we take one
	}
	return key
}

// KeyID names a secret in public: in logs, configuration and rotation. It is 8
// derived bytes in hex, and says nothing about the secret.
func (s Secret) KeyID() string { return hex.EncodeToString(s.Derive(keyIDLabel)[:8]) }

func (s Secret) bytes() []byte {
	if s.IsZero() {
		return nil
	}
	return s.reveal().bytes
}

// String hides the secret.
func (Secret) String() string { return redacted }

// GoString hides the secret.
func (Secret) GoString() string { return redacted }

// Format hides the secret from every verb, %x and %d included.
func (Secret) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(redacted)) }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON hides the secret.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
