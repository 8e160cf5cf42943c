package worker

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/francis-actors/francis/internal/core/limit"
)

// Settings are what hosts and clients, remote and local, have in common. Their options set
// them.
type Settings struct {
	// Place is where other workers reach this one; the zero value is nowhere.
	Place Place
	// Grace is how long Run takes at most to hand the actors over.
	Grace time.Duration
	// Limits bound what the worker takes on and sends; zero fields have their defaults.
	Limits limit.Limits
	// Logger is where the worker logs; nil is slog.Default().
	Logger *slog.Logger
}

// DefaultSettings hold where no option says otherwise.
func DefaultSettings() Settings { return Settings{Grace: limit.ShutdownGrace} }

// Complete puts in what is still missing, and reports what nobody can obey. Place has a
// Check of its own, since not every worker has one.
func (s *Settings) Complete() error {
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	if s.Grace < 0 {
		return fmt.Errorf("the shutdown grace is %v; it cannot be negative", s.Grace)
	}
	return nil
}
