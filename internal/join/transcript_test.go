package join

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"testing"
)

// The proofs are part of the protocol between releases: these were computed apart
// from this code.
func TestProofVectors(t *testing.T) {
	t.Parallel()
	messages := newTranscript()
	messages.add([]byte("hello"))
	messages.add([]byte("challenge"))
	bound := bytes.Repeat([]byte{7}, bindingSize)
	for label, want := range map[string]string{
		clientLabel: "36830c0a9f3edde51f87574b3d8b5986c8cd7a9e355306cd95d121bc9873fe82",
		serverLabel: "5fc5521c51b9d428fe10bdd20f0616060175e6ace3e7da8964192df76d3439f5",
	} {
		if got := hex.EncodeToString(messages.prove(secretOf(t, hostPSK), label, bound)); got != want {
			t.Errorf("%s: %s, want %s", label, got, want)
		}
	}
}

// Breaks without the sizes, the label, the key's label, the binding or the secret in
// the proof.
func TestProofDependsOnEverything(t *testing.T) {
	t.Parallel()
	proof := func(secret, label string, bound byte, sent ...string) string {
		messages := newTranscript()
		for _, message := range sent {
			messages.add([]byte(message))
		}
		return string(messages.prove(secretOf(t, secret), label, bytes.Repeat([]byte{bound}, bindingSize)))
	}
	seen := map[string]string{}
	for name, got := range map[string]string{
		"base":     proof(hostPSK, clientLabel, 1, "ab", "c"),
		"message":  proof(hostPSK, clientLabel, 1, "ab", "d"),
		"boundary": proof(hostPSK, clientLabel, 1, "a", "bc"),
		"joined":   proof(hostPSK, clientLabel, 1, "abc"),
		"order":    proof(hostPSK, clientLabel, 1, "c", "ab"),
		"more":     proof(hostPSK, clientLabel, 1, "ab", "c", ""),
		"label":    proof(hostPSK, serverLabel, 1, "ab", "c"),
		"binding":  proof(hostPSK, clientLabel, 2, "ab", "c"),
		"secret":   proof(runtimePSK, clientLabel, 1, "ab", "c"),
	} {
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have one proof", name, other)
		}
		seen[got] = name
	}
}

func TestProved(t *testing.T) {
	t.Parallel()
	messages, bound := newTranscript(), make([]byte, bindingSize)
	right := messages.prove(secretOf(t, hostPSK), clientLabel, bound)
	for name, test := range map[string]struct {
		proof []byte
		want  bool
	}{
		"right": {right, true}, "empty": {nil, false}, "cut": {right[:31], false},
		"longer": {append(bytes.Clone(right), 0), false}, "other": {make([]byte, 32), false},
	} {
		if got := messages.proved(secretOf(t, hostPSK), clientLabel, bound, test.proof); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Older TLS has another exporter, and no TLS has none.
func TestBindingNeedsTLS13(t *testing.T) {
	t.Parallel()
	for _, state := range []*tls.ConnectionState{nil, {Version: tls.VersionTLS12}} {
		if _, err := binding(state); !errors.Is(err, errNoBinding) {
			t.Errorf("%v", err)
		}
	}
}
