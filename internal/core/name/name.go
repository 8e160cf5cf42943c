// Package name says what an actor type and an actor id may look like. It is
// pure: it imports only the standard library, and every layer that meets a name
// from outside asks here.
package name

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxType is the largest size of an actor type, in bytes.
	MaxType = 128
	// MaxID is the largest size of an actor id, in bytes.
	MaxID = 512
	// MaxKey is the largest size of an idempotency key, in bytes.
	MaxKey = 255
	// MaxAlarm is the largest size of the name of an alarm, in bytes.
	MaxAlarm = 128
	// MaxJob is the largest size of the id of a job, in bytes.
	MaxJob = 128
)

// CheckType reports why s cannot be an actor type: it must be 1 to [MaxType]
// bytes of letters, digits, '.', '_', '~' and '-' (what a URL path segment holds
// unescaped, RFC 3986 §2.3), and neither "." nor "..".
func CheckType(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the actor type is empty")
	case len(s) > MaxType:
		return fmt.Errorf("the actor type has %d bytes; at most %d are allowed", len(s), MaxType)
	case s == "." || s == "..":
		return fmt.Errorf("the actor type %q is no valid path segment", s)
	}
	for _, r := range s {
		if !unreserved(r) {
			return fmt.Errorf("the actor type %q has the character %q; letters, digits, '.', '_', '~' and '-' are allowed", s, r)
		}
	}
	return nil
}

func unreserved(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._~-", r)
}

// CheckID reports why s cannot be an actor id: it must be 1 to [MaxID] bytes of
// valid UTF-8 without control characters and without white space at either end,
// and neither "." nor "..".
func CheckID(s string) error { return checkSegment("actor id", s, MaxID) }

// CheckPrefix reports why no actor id can begin with s, or that it is cut within a
// character. Every id begins with nothing.
func CheckPrefix(s string) error {
	switch {
	case len(s) > MaxID:
		return fmt.Errorf("the prefix of actor ids has %d bytes; at most %d are allowed", len(s), MaxID)
	case !utf8.ValidString(s):
		return fmt.Errorf("the prefix of actor ids is not valid UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("the prefix of actor ids %q has a control character", s)
	case strings.TrimLeftFunc(s, unicode.IsSpace) != s:
		return fmt.Errorf("the prefix of actor ids %q starts with white space", s)
	}
	return nil
}

// CheckAlarm reports why s cannot be the name of an alarm: it is like an actor id, of at
// most [MaxAlarm] bytes.
func CheckAlarm(s string) error { return checkSegment("name of the alarm", s, MaxAlarm) }

// CheckJob reports why s cannot be the id of a job: it is like an actor id, of at most
// [MaxJob] bytes.
func CheckJob(s string) error { return checkSegment("id of the job", s, MaxJob) }

// checkSegment reports why s cannot be what people choose and a path holds, escaped.
func checkSegment(what, s string, most int) error {
	if s != "" && len(s) <= most && plainASCII(s) {
		return nil
	}
	switch {
	case s == "":
		return fmt.Errorf("the %s is empty", what)
	case len(s) > most:
		return fmt.Errorf("the %s has %d bytes; at most %d are allowed", what, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("the %s is not valid UTF-8", what)
	case s == "." || s == "..":
		return fmt.Errorf("the %s %q is no valid path segment", what, s)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("the %s %q has a control character", what, s)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("the %s %q starts or ends with white space", what, s)
	}
	return nil
}

// plainASCII is the fast path of checkSegment: printable ASCII without spaces or dots
// passes every rule but the length.
func plainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '.' || c >= 0x7f {
			return false
		}
	}
	return true
}

// CheckKey reports why s cannot be an idempotency key: it must be 1 to [MaxKey] bytes
// of printable ASCII, which is what an HTTP header holds as it is, without white space
// at either end.
func CheckKey(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the idempotency key is empty")
	case len(s) > MaxKey:
		return fmt.Errorf("the idempotency key has %d bytes; at most %d are allowed", len(s), MaxKey)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("the idempotency key %q begins or ends with white space", s)
	}
	for _, r := range s {
		if r < ' ' || r > '~' {
			return fmt.Errorf("the idempotency key %q has the character %q; printable ASCII is allowed", s, r)
		}
	}
	return nil
}

// EscapeID is an id as it travels in a header or in a path: percent-encoded.
func EscapeID(id string) string { return url.PathEscape(id) }

// UnescapeID undoes EscapeID.
func UnescapeID(escaped string) (string, error) { return url.PathUnescape(escaped) }
