package zone_test

import (
	"strings"
	"testing"
	"time"

	"github.com/francis-actors/francis/internal/zone"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"": "UTC", "UTC": "UTC", "Europe/Rome": "Europe/Rome", "Etc/GMT+5": "Etc/GMT+5"} {
		for range 2 {
			if got, err := zone.Load(name); err != nil || got.String() != want {
				t.Errorf("%q is %v, %v; want %s", name, got, err, want)
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Local", "local", "Europe/Nowhere", "../etc/passwd", "/etc/localtime", "Europe/../Europe/Rome", "Rome\x00", " UTC", "+02:00", strings.Repeat("a", 1<<20),
	} {
		got, err := zone.Load(name)
		if err == nil {
			t.Errorf("%.40q is %v", name, got)
			continue
		}
		if !strings.HasPrefix(err.Error(), "the time zone \"") || len(err.Error()) > 400 {
			t.Errorf("the error of %.40q: %.500v", name, err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		location, err := zone.Load("Europe/Rome")
		if err != nil || location == time.UTC {
			b.Fatal(location, err)
		}
	}
}
