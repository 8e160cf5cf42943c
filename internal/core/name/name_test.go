package name

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckType(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ typ, want string }{
		"short":              {"a", ""},
		"full name":          {"behaviour.v1.ProbeActor", ""},
		"all that a URL has": {"aZ09._~-", ""},
		"three dots":         {"...", ""},
		"longest":            {strings.Repeat("x", MaxType), ""},
		"empty":              {"", "the actor type is empty"},
		"too long":           {strings.Repeat("x", MaxType+1), "the actor type has 129 bytes; at most 128 are allowed"},
		"dot":                {".", `the actor type "." is no valid path segment`},
		"two dots":           {"..", `the actor type ".." is no valid path segment`},
		"slash":              {"a/b", `the actor type "a/b" has the character '/'; letters, digits, '.', '_', '~' and '-' are allowed`},
		"space":              {"a b", `the actor type "a b" has the character ' '; letters, digits, '.', '_', '~' and '-' are allowed`},
		"percent":            {"%41", `the actor type "%41" has the character '%'; letters, digits, '.', '_', '~' and '-' are allowed`},
		"not ASCII":          {"zähler", `the actor type "zähler" has the character 'ä'; letters, digits, '.', '_', '~' and '-' are allowed`},
		"not UTF-8":          {"a\xff", `the actor type "a\xff" has the character '` + "\uFFFD" + `'; letters, digits, '.', '_', '~' and '-' are allowed`},
		"control character":  {"a\n", `the actor type "a\n" has the character '\n'; letters, digits, '.', '_', '~' and '-' are allowed`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, CheckType(test.typ), test.want)
		})
	}
}

func TestCheckID(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ id, want string }{
		"short":                  {"a", ""},
		"unicode":                {"日本", ""},
		"slash":                  {"x/y z", ""},
		"percent":                {"%2F%", ""},
		"three dots":             {"...", ""},
		"dot inside":             {"a.b", ""},
		"space inside":           {"a b", ""},
		"no-break space inside":  {"a\u00a0b", ""},
		"what HTTP gives sense":  {`"a";b=c,d?e#f\g`, ""},
		"longest":                {strings.Repeat("x", MaxID), ""},
		"longest in bytes":       {strings.Repeat("日", MaxID/3), ""},
		"replacement character":  {"\uFFFD", ""},
		"empty":                  {"", "the actor id is empty"},
		"too long":               {strings.Repeat("x", MaxID+1), "the actor id has 513 bytes; at most 512 are allowed"},
		"too long in bytes":      {strings.Repeat("日", MaxID/3+1), "the actor id has 513 bytes; at most 512 are allowed"},
		"not UTF-8":              {"\xff", "the actor id is not valid UTF-8"},
		"cut UTF-8":              {"日"[:2], "the actor id is not valid UTF-8"},
		"surrogate":              {"\xed\xa0\x80", "the actor id is not valid UTF-8"},
		"dot":                    {".", `the actor id "." is no valid path segment`},
		"two dots":               {"..", `the actor id ".." is no valid path segment`},
		"NUL":                    {"a\x00b", `the actor id "a\x00b" has a control character`},
		"newline":                {"a\r\nb", `the actor id "a\r\nb" has a control character`},
		"DEL":                    {"a\x7f", `the actor id "a\x7f" has a control character`},
		"C1 control":             {"a\u0085b", `the actor id "a\u0085b" has a control character`},
		"space first":            {" a", `the actor id " a" starts or ends with white space`},
		"space last":             {"a ", `the actor id "a " starts or ends with white space`},
		"only space":             {" ", `the actor id " " starts or ends with white space`},
		"no-break space last":    {"a\u00a0", `the actor id "a\u00a0" starts or ends with white space`},
		"ideographic space":      {"\u3000a", `the actor id "\u3000a" starts or ends with white space`},
		"line separator at last": {"a\u2028", `the actor id "a\u2028" starts or ends with white space`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, CheckID(test.id), test.want)
			if test.want == "" {
				wantTravels(t, test.id)
			}
		})
	}
}

func TestCheckPrefix(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ prefix, want string }{
		"nothing":        {"", ""},
		"dot":            {".", ""},
		"space last":     {"a ", ""},
		"unicode":        {"日本", ""},
		"longest":        {strings.Repeat("x", MaxID), ""},
		"too long":       {strings.Repeat("x", MaxID+1), "the prefix of actor ids has 513 bytes; at most 512 are allowed"},
		"cut UTF-8":      {"日"[:2], "the prefix of actor ids is not valid UTF-8"},
		"NUL":            {"a\x00b", `the prefix of actor ids "a\x00b" has a control character`},
		"space first":    {" a", `the prefix of actor ids " a" starts with white space`},
		"only a newline": {"\n", `the prefix of actor ids "\n" has a control character`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, CheckPrefix(test.prefix), test.want)
		})
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want != "":
		t.Errorf("accepted, want the error %q", want)
	case err != nil && err.Error() != want:
		t.Errorf("error %q\nwant  %q", err, want)
	}
}

func TestEscapeID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"id1":   "id1",
		"x/y z": "x%2Fy%20z",
		"日":     "%E6%97%A5",
		"%2F":   "%252F",
		"a+b":   "a+b",
	} {
		if got := EscapeID(id); got != want {
			t.Errorf("EscapeID(%q) = %q, want %q", id, got, want)
		}
	}
	for _, escaped := range []string{"%", "%2", "%zz", "a%"} {
		if id, err := UnescapeID(escaped); err == nil {
			t.Errorf("UnescapeID(%q) = %q, want an error", escaped, id)
		}
	}
}

// wantTravels checks that an accepted id reaches the other side whole, in a header
// and as one segment of a path.
func wantTravels(t *testing.T, id string) {
	t.Helper()
	escaped := EscapeID(id)
	if back, err := UnescapeID(escaped); err != nil || back != id {
		t.Errorf("%q travels as %q and arrives as %q (%v)", id, escaped, back, err)
	}
	for _, c := range []byte(escaped) {
		if c <= ' ' || c >= 0x7f {
			t.Errorf("%q travels as %q, which no header may hold", id, escaped)
		}
	}
	u, err := url.Parse("http://host/invoke/t/" + escaped + "/m")
	if err != nil {
		t.Fatalf("%q travels as %q, which no path may hold: %v", id, escaped, err)
	}
	if segments := strings.Split(u.EscapedPath(), "/"); len(segments) != 5 || segments[3] != escaped {
		t.Errorf("%q travels as %q, and the path has the segments %q", id, escaped, segments)
	}
}

func FuzzCheckID(f *testing.F) {
	for _, seed := range []string{
		"", ".", "..", "...", "/", "a", " a", "a ", "a b", "x/y z", "日本", "%2F", "\xff", "a\x00", "a\u0085", "\u3000", "a//b", "a/../b", "?", "#", ";",
		strings.Repeat("x", MaxID), strings.Repeat("x", MaxID+1), "\ufeffa", "é́", "http://host/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if err := CheckID(id); err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Errorf("the error %q does not fit into a protobuf message", err)
			}
			return
		}
		wantTravels(t, id)
	})
}

func FuzzCheckType(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "a", "behaviour.v1.ProbeActor", "a/b", "\xff", "%41", strings.Repeat("x", MaxType+1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typ string) {
		if err := CheckType(typ); err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Errorf("the error %q does not fit into a protobuf message", err)
			}
			return
		}
		if url.PathEscape(typ) != typ {
			t.Errorf("the type %q is escaped in a path", typ)
		}
		wantTravels(t, typ) // every type is a valid id, too
	})
}
