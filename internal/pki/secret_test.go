package pki

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const hidden = "correct-horse-battery-staple-0123456789"

func mustSecret(t testing.TB, text string) Secret {
	t.Helper()
	secret, err := ParseSecret([]byte(text))
	if err != nil {
		t.Fatalf("ParseSecret: %v", err)
	}
	return secret
}

// Breaks without any one of Secret's methods, and without the function in it (the
// cases "unexported" print the bytes of a plain field, and of a pointer).
func TestSecretNeverPrintsItself(t *testing.T) {
	t.Parallel()
	secret := mustSecret(t, hidden)
	type exported struct{ Secret Secret }
	type unexported struct{ secret Secret }
	values := map[string]any{
		"value": secret, "pointer": &secret, "exported": exported{secret},
		"unexported": unexported{secret}, "pointer to unexported": &unexported{secret},
		"slice": []Secret{secret}, "map": map[string]Secret{"k": secret},
	}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%b", "%U", "%t"} {
			checkHidden(t, name+" "+verb, fmt.Sprintf(verb, value))
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		checkHidden(t, name+" json", string(encoded))
		checkHidden(t, name+" slog", logged(value))
	}
	text, _ := secret.MarshalText()
	checkHidden(t, "text", string(text))
	checkHidden(t, "String", secret.String())
	checkHidden(t, "GoString", secret.GoString())
	for _, verb := range []string{"%v", "%#v", "%d", "%x", "%U"} {
		if got := fmt.Sprintf(verb, secret); got != redacted {
			t.Errorf("a secret prints with %s as %q", verb, got)
		}
	}
}

func logged(value any) string {
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", value)
	slog.New(slog.NewJSONHandler(&text, nil)).Info("m", "v", value)
	return text.String()
}

func checkHidden(t *testing.T, how, text string) {
	t.Helper()
	bytesOf := strings.Trim(fmt.Sprintf("%d", []byte(hidden[:8])), "[]")
	for _, shown := range []string{hidden[:8], hex.EncodeToString([]byte(hidden[:8])), strings.ToUpper(hex.EncodeToString([]byte(hidden[:8]))), bytesOf} {
		if strings.Contains(text, shown) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
}

func TestParseSecretErrors(t *testing.T) {
	t.Parallel()
	key := formatKey(make([]byte, keyBytes))
	tests := map[string]struct{ text, want string }{
		"empty":          {"", "it has 0 bytes, at least 16"},
		"short":          {"123456789012345", "it has 15 bytes, at least 16"},
		"key, cut":       {key[:40], "instead of 56"},
		"key, line end":  {key + "\n", "instead of 56"},
		"key, checksum":  {key[:len(key)-1] + "x", "checksum"},
		"key, one digit": {strings.Replace(key, "AAAA", "AABA", 1), "checksum"},
		"key, no base64": {resum(strings.Replace(key, "AAAA", "A+AA", 1)), "base64url"},
		"key, stray bit": {resum(key[:46] + "B" + key[47:]), "base64url"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseSecret([]byte(test.text))
			if !errors.Is(err, ErrSecret) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v; want %q", err, test.want)
			}
		})
	}
}

// resum gives a damaged key the checksum that fits it.
func resum(key string) string {
	body := key[:len(keyPrefix)+keyText]
	return body + "_" + checksum(body)
}

// The spelling of a key never changes: operators store them.
func TestKeyVector(t *testing.T) {
	t.Parallel()
	raw := make([]byte, keyBytes)
	for i := range raw {
		raw[i] = byte(i)
	}
	const want = "fk1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8_710085d5"
	if got := formatKey(raw); got != want {
		t.Errorf("key is %s, want %s", got, want)
	}
	if secret := mustSecret(t, want); !bytes.Equal(secret.bytes(), raw) {
		t.Errorf("bytes are %x", secret.bytes())
	}
}

func TestNewKeyIsFreshAndStrong(t *testing.T) {
	t.Parallel()
	one, two := NewKey(), NewKey()
	if one == two {
		t.Error("two keys are equal")
	}
	if warning, err := mustSecret(t, one).Vet("0.0.0.0:7400"); warning != "" || err != nil {
		t.Errorf("a new key is not accepted everywhere: %q, %v", warning, err)
	}
}

// Derived keys and key ids are part of the protocol between releases.
func TestDeriveVectors(t *testing.T) {
	t.Parallel()
	secret := mustSecret(t, "example-runtime-psk-change-me")
	if got, want := secret.KeyID(), "c75e0007ee4d1632"; got != want {
		t.Errorf("key id is %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(secret.Derive("x")), "c2ef077960534911e19f552bffdb46e7cc4f8077805272083b162a384add7575"; got != want {
		t.Errorf("derived key is %s, want %s", got, want)
	}
}

func TestVet(t *testing.T) {
	t.Parallel()
	const (
		short   = "0123456789abcdef"
		runtime = "example-runtime-psk-change-me"
		host    = "example-host-bootstrap-psk-change-me"
	)
	strong := strings.Repeat("s3", 16)
	tests := map[string]struct {
		text, bind     string
		warned, refuse bool
	}{
		"strong, anywhere":     {strong, ":7400", false, false},
		"short, v4 loopback":   {short, "127.0.0.1:7400", true, false},
		"short, 127/8":         {short, "127.8.8.8:7400", true, false},
		"short, v6 loopback":   {short, "[::1]:7400", true, false},
		"short, mapped":        {short, "[::ffff:127.0.0.1]:7400", true, false},
		"short, localhost":     {short, "localhost:7400", true, false},
		"example, loopback":    {runtime, "127.0.0.1:7400", true, false},
		"example of 36, loop":  {host, "127.0.0.1:7400", true, false},
		"short, everywhere":    {short, ":7400", false, true},
		"short, 0.0.0.0":       {short, "0.0.0.0:7400", false, true},
		"short, ::":            {short, "[::]:7400", false, true},
		"short, LAN":           {short, "10.0.0.1:7400", false, true},
		"short, name":          {short, "localhost.example:7400", false, true},
		"short, no port":       {short, "127.0.0.1", false, true},
		"example, LAN":         {runtime, "10.0.0.1:7400", false, true},
		"example of 36, LAN":   {host, "10.0.0.1:7400", false, true}, // long enough, but published
		"31 bytes, everywhere": {strong[:31], ":7400", false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			warning, err := mustSecret(t, test.text).Vet(test.bind)
			if (warning != "") != test.warned || (err != nil) != test.refuse {
				t.Fatalf("warning %q, error %v", warning, err)
			}
			if text := warning + fmt.Sprint(err); (test.warned || test.refuse) && !strings.Contains(text, "runtime gen-key") {
				t.Errorf("%q does not name the command that makes a good one", text)
			}
			if strings.Contains(warning+fmt.Sprint(err), test.text) {
				t.Error("the secret is in the message")
			}
		})
	}
	if _, err := (Secret{}).Vet("127.0.0.1:1"); !errors.Is(err, ErrSecret) {
		t.Errorf("no secret: %v", err)
	}
}

func TestCheckDistinct(t *testing.T) {
	t.Parallel()
	one, two, three := mustSecret(t, strings.Repeat("1", 32)), mustSecret(t, strings.Repeat("2", 32)), mustSecret(t, strings.Repeat("3", 32))
	if err := CheckDistinct(one, two, three); err != nil {
		t.Error(err)
	}
	if err := CheckDistinct(two, one, mustSecret(t, strings.Repeat("2", 32))); !errors.Is(err, ErrSecret) {
		t.Errorf("an equal secret passes: %v", err)
	}
	key := NewKey()
	if err := CheckDistinct(mustSecret(t, key), mustSecret(t, key)); !errors.Is(err, ErrSecret) {
		t.Errorf("an equal key passes: %v", err)
	}
}

func FuzzParseSecret(f *testing.F) {
	f.Add([]byte(formatKey(make([]byte, keyBytes))))
	f.Add([]byte("fk1_"))
	f.Add([]byte("example-runtime-psk-change-me"))
	f.Fuzz(func(t *testing.T, text []byte) {
		secret, err := ParseSecret(text)
		if err != nil {
			if !secret.IsZero() || (len(text) > 8 && strings.Contains(err.Error(), string(text))) {
				t.Errorf("an error with a secret: %v", err)
			}
			return
		}
		if len(secret.bytes()) < MinSecret {
			t.Errorf("%d bytes are accepted", len(secret.bytes()))
		}
		if isKey(text) && formatKey(secret.bytes()) != string(text) {
			t.Errorf("%q has a second spelling, %q", text, formatKey(secret.bytes()))
		}
	})
}
