package pki

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

const (
	// keyPrefix lets secret scanners find a key.
	keyPrefix = "fk1_"
	keyBytes  = 32
	// keyText is the size of the base64 of a key, keySum that of its checksum.
	keyText = 43
	keySum  = 8
	// genKeyCommand makes a good key.
	genKeyCommand = "runtime gen-key"
)

// examples are the secrets that documentation has ever shown. They guard nothing.
var examples = []string{
	"example-runtime-psk-change-me",
	"example-host-bootstrap-psk-change-me",
}

// encoding refuses padding, line ends and stray bits, so a key has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// NewKey makes a key: fk1_<base64url of 32 random bytes>_<crc32 in hex>.
func NewKey() string {
	raw := make([]byte, keyBytes)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return formatKey(raw)
}

func formatKey(raw []byte) string {
	text := keyPrefix + encoding.EncodeToString(raw)
	return text + "_" + checksum(text)
}

// checksum is the CRC-32 (IEEE) of prefix and key: it finds typing errors, nothing
// else.
func checksum(text string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) }

func isKey(text []byte) bool { return bytes.HasPrefix(text, []byte(keyPrefix)) }

func parseKey(text string) ([]byte, error) {
	const body = len(keyPrefix) + keyText
	if len(text) != body+1+keySum || text[body] != '_' {
		return nil, fmt.Errorf("%w: it starts like a key (%s…) but has %d bytes instead of %d; copy it whole, without quotes or line ends", ErrSecret, keyPrefix, len(text), body+1+keySum)
	}
	if checksum(text[:body]) != text[body+1:] {
		return nil, fmt.Errorf("%w: the checksum of the key does not fit; copy it again", ErrSecret)
	}
	raw, err := encoding.DecodeString(text[len(keyPrefix):body])
	if err != nil { // not wrapped: a decoding error quotes its input
		return nil, fmt.Errorf("%w: the key is not base64url; copy it again", ErrSecret)
	}
	return raw, nil
}

func published(text []byte) bool { return slices.Contains(examples, string(text)) }

// Vet says whether the secret may guard a server that listens on bind ("host:port").
// On a loopback address every secret may, a weak one with a warning that must be
// shown; anywhere else a weak one is refused.
func (s Secret) Vet(bind string) (warning string, err error) {
	why := s.weakness()
	switch {
	case s.IsZero():
		return "", fmt.Errorf("%w: there is none; make one with `%s`", ErrSecret, genKeyCommand)
	case why == "":
		return "", nil
	case isLoopback(bind):
		return fmt.Sprintf("%s: whoever guesses it owns the cluster. It is accepted because %s is a loopback address; make a good one with `%s`", why, bind, genKeyCommand), nil
	default:
		return "", fmt.Errorf("%w: %s, and %s can be reached from other machines; make a good one with `%s`", ErrSecret, why, bind, genKeyCommand)
	}
}

// weakness says why the secret is weak, empty when it is not.
func (s Secret) weakness() string {
	switch {
	case s.IsZero():
		return "the secret is missing"
	case s.reveal().published:
		return "the secret is a published example"
	case len(s.bytes()) < keyBytes:
		return "the secret has " + strconv.Itoa(len(s.bytes())) + " bytes, less than " + strconv.Itoa(keyBytes)
	}
	return ""
}

// isLoopback reports whether only this machine reaches bind. An empty host listens
// everywhere.
func isLoopback(bind string) bool {
	host, _, err := net.SplitHostPort(bind)
	if err != nil {
		return false
	}
	if host == "localhost" { // RFC 6761 §6.3
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// CheckDistinct reports why host cannot be the secret of joining hosts: knowing it
// must not be knowing a runtime secret.
func CheckDistinct(host Secret, runtime ...Secret) error {
	for _, secret := range runtime {
		if !host.IsZero() && host.Equal(secret) {
			return fmt.Errorf("%w: the host PSK equals the runtime PSK %s, so every worker could act as a runtime; make another with `%s`", ErrSecret, secret.KeyID(), genKeyCommand)
		}
	}
	return nil
}
