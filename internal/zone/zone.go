// Package zone keeps the time zones of the IANA database, as the machine has them or,
// where it has none, as they were when Go was built.
package zone

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // for machines without the database
)

// maxName is the largest name of a time zone, in bytes; the longest of the database has
// half of them.
const maxName = 64

// loaded has the zones that were asked for. Only those that exist are kept, so there are
// at most as many as the database has, some hundreds.
var loaded sync.Map // of string to *time.Location

// Load returns a time zone by its name in the IANA database, such as "Europe/Rome"; the
// empty name is UTC. "Local" is none: it would be another zone on another machine. It may
// be called concurrently, and reads the database once for each zone.
func Load(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	if location, ok := loaded.Load(name); ok {
		return location.(*time.Location), nil //nolint:forcetypeassert // nothing else is stored
	}
	location, err := load(name)
	if err != nil {
		return nil, fmt.Errorf("the time zone %q is not one of the IANA database, such as Europe/Rome: %w", shortened(name), err)
	}
	loaded.Store(name, location)
	return location, nil
}

func load(name string) (*time.Location, error) {
	switch {
	case len(name) > maxName:
		return nil, fmt.Errorf("a name has at most %d bytes", maxName)
	case strings.EqualFold(name, "local"):
		return nil, errors.New("it differs from machine to machine")
	}
	return time.LoadLocation(name)
}

func shortened(name string) string {
	if len(name) > maxName {
		return name[:maxName]
	}
	return name
}
