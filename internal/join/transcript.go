package join

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"hash"

	"github.com/francis-actors/francis/internal/pki"
)

// The labels separate the two directions, twice: each has a key and a prefix of its
// own, so no proof of one side is a proof of the other.
const (
	clientLabel = "francis/join/v1/client"
	serverLabel = "francis/join/v1/server"
)

// The channel binding tls-exporter (RFC 9266 §4.2), with an empty context.
const (
	bindingLabel = "EXPORTER-Channel-Binding"
	bindingSize  = 32
)

// nonceSize is the size of both nonces, in bytes.
const nonceSize = 32

// errNoBinding is the answer to a connection that ends elsewhere.
var errNoBinding = errors.New("the connection is not TLS 1.3 from end to end: a proxy terminates TLS; let it pass TCP through")

// binding is what only the two ends of this very connection know.
func binding(state *tls.ConnectionState) ([]byte, error) {
	if state == nil || state.Version != tls.VersionTLS13 {
		return nil, errNoBinding
	}
	return state.ExportKeyingMaterial(bindingLabel, nil, bindingSize)
}

// transcript is the hash of the messages of one join so far. Each message is
// preceded by its size, so no two sequences of messages look alike.
type transcript struct{ digest hash.Hash }

func newTranscript() transcript { return transcript{sha256.New()} }

// add appends the bytes of a message as they travel.
func (t transcript) add(message []byte) {
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(message)))
	t.digest.Write(size[:])
	t.digest.Write(message)
}

// prove is the proof, by the side with that label, that it knows the secret, has seen
// the same messages, and is an end of this connection.
func (t transcript) prove(secret pki.Secret, label string, binding []byte) []byte {
	mac := hmac.New(sha256.New, secret.Derive(label))
	mac.Write([]byte(label))
	mac.Write([]byte{0})
	mac.Write(t.digest.Sum(nil))
	mac.Write(binding)
	return mac.Sum(nil)
}

// proved reports in constant time whether proof is the one of that side.
func (t transcript) proved(secret pki.Secret, label string, binding, proof []byte) bool {
	return hmac.Equal(t.prove(secret, label, binding), proof)
}
