// Package deliver is how HTTP clients say that a method is called later: the header
// Francis-Deliver, for example
//
//	Francis-Deliver: job; after=10s
//	Francis-Deliver: alarm; name=reminder; cron="0 9 * * *"; tz=Europe/Rome
//
// and the words for when that is, which people's JSON shares. It knows how they are
// written; whether such a task makes sense is for others to say.
package deliver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

const (
	// Header says that a call is for later.
	Header = "Francis-Deliver"
	// JobHeader carries the id of the job that was enqueued.
	JobHeader = "Francis-Job-Id"

	kindJob   = "job"
	kindAlarm = "alarm"
)

// Parse reads the header. A job without an id is for the reader to name.
func Parse(header string) (*actor.Later, error) {
	kind, rest, more := strings.Cut(header, ";")
	kind = strings.TrimSpace(kind)
	if kind != kindJob && kind != kindAlarm {
		return nil, fmt.Errorf("it begins with %.40q; write job or alarm, and then its parameters", kind)
	}
	var escaped string // what names the task
	var words Words
	fields := append(words.fields(), field{"id", &escaped})
	if kind == kindAlarm {
		fields[len(fields)-1].name = "name"
	}
	if err := parseParameters(rest, more, kind, fields); err != nil {
		return nil, err
	}
	later, err := named(kind, escaped)
	if err != nil {
		return nil, err
	}
	later.Timing, err = words.Timing()
	return later, err
}

// named is an alarm, or a job that may have an id.
func named(kind, escaped string) (*actor.Later, error) {
	given, err := name.UnescapeID(escaped)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the name %.40q is not percent-encoded: %w", escaped, err)
	case kind == kindAlarm:
		return &actor.Later{Alarm: given}, name.CheckAlarm(given)
	case given != "":
		return &actor.Later{Job: given}, name.CheckJob(given)
	}
	return &actor.Later{}, nil
}

// parseParameters reads `name=value; name="value"` into fields.
func parseParameters(s string, more bool, kind string, fields []field) error {
	given := make(map[string]bool)
	for more {
		parameter, value, ok := strings.Cut(s, "=")
		parameter = strings.TrimSpace(parameter)
		if !ok || parameter == "" {
			return fmt.Errorf("%.40q is no parameter; write name=value", strings.TrimSpace(s))
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == parameter })
		switch {
		case i < 0:
			return fmt.Errorf("%s has no parameter %.40q; it has %s", kind, parameter, names(fields))
		case given[parameter]:
			return fmt.Errorf("the parameter %s is given twice", parameter)
		}
		given[parameter] = true
		var err error
		if *fields[i].value, s, more, err = parseValue(value); err != nil {
			return fmt.Errorf("the parameter %s: %w", parameter, err)
		}
		if *fields[i].value == "" {
			return fmt.Errorf("the parameter %s is empty", parameter)
		}
	}
	return nil
}

// parseValue reads a value, quoted or not, and what follows the semicolon after it; more
// says whether there is one.
func parseValue(s string) (value, rest string, more bool, err error) {
	s = strings.TrimLeft(s, " \t")
	if strings.HasPrefix(s, `"`) {
		if value, s, err = unquote(s[1:]); err != nil {
			return "", "", false, err
		}
		end, rest, more := strings.Cut(s, ";")
		if end = strings.TrimSpace(end); end != "" {
			return "", "", false, fmt.Errorf("%.40q follows its end", end)
		}
		return value, rest, more, nil
	}
	value, rest, more = strings.Cut(s, ";")
	value = strings.TrimSpace(value)
	if i := strings.IndexFunc(value, func(r rune) bool { return !plain(r) }); i >= 0 {
		return "", "", false, fmt.Errorf("the value %.40q has a character that only a quoted one may have; write \"…\"", value)
	}
	return value, rest, more, nil
}

// unquote reads up to the closing quote; a backslash stands before a quote or another one.
func unquote(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", "", fmt.Errorf(`a backslash stands before " or \ only`)
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("the closing quote is missing")
}

// plain reports whether a value may have r without quotes.
func plain(r rune) bool { return '!' <= r && r <= '~' && !strings.ContainsRune(`";,\`, r) }

func names(fields []field) string {
	var all []string
	for _, f := range fields {
		all = append(all, f.name)
	}
	return strings.Join(all, ", ")
}

// Format writes the header.
func Format(later *actor.Later) string {
	header := kindJob
	switch {
	case later.Alarm != "":
		header = kindAlarm + "; name=" + name.EscapeID(later.Alarm)
	case later.Job != "":
		header += "; id=" + name.EscapeID(later.Job)
	}
	if timing := FormatTiming(later.Timing); timing != "" {
		header += "; " + timing
	}
	return header
}

func quoted(value string) string {
	if value != "" && strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) < 0 {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}
