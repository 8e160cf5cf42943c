package config_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/francis-actors/francis/runtime/config"
)

// seed is the file of the walkthrough, word for word.
const seed = `# config.yaml
bind: "127.0.0.1:7400"
# Runtime PSKs derive the cluster CA — keep them secret, inject from the environment in production
runtimePSKs:
- "example-runtime-psk-change-me"
# How joining hosts authenticate
# This example uses a shared host PSK; the workers must present the same value
bootstrap:
  method: psk
  hostPSK: "example-host-bootstrap-psk-change-me"
provider:
  type: sqlite
  connectionString: "data.db"
log:
  level: debug
`

func TestParseTheWalkthrough(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("config.yaml", []byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Bind != "127.0.0.1:7400" || len(cfg.RuntimePSKs) != 1 || cfg.Bootstrap.Method != config.MethodPSK ||
		cfg.Provider != (config.Provider{Type: config.ProviderSQLite, ConnectionString: "data.db"}) {
		t.Errorf("read %+v", cfg)
	}
	if cfg.Log.SlogLevel() != slog.LevelDebug || cfg.Log.Format != config.FormatAuto {
		t.Errorf("log is %+v", cfg.Log)
	}
	if cfg.Cluster != config.DefaultCluster || cfg.Lease != config.DefaultLease || cfg.ShutdownGracePeriod != config.DefaultShutdownGracePeriod {
		t.Errorf("the defaults are not in place: %+v", cfg)
	}
	if got := len(cfg.Warnings()); got != 2 {
		t.Errorf("%d warnings of example secrets, want 2: %v", got, cfg.Warnings())
	}
}

func TestParseEverySetting(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("config.json", []byte(`{
	"bind": "0.0.0.0:7400",
	"cluster": "shop-1",
	"runtimePSKs": ["`+keyOne+`", "`+keyTwo+`"],
	"bootstrap": {"hostPSK": "`+keyThree+`"},
	"provider": {"type": "memory"},
	"log": {"level": "warn", "format": "json"},
	"lease": "2s",
	"deliveries": {"perSecond": 1000, "burst": 100, "types": [{"type": "cart", "perSecond": 10}]},
	"shutdownGracePeriod": "1m30s"
}`))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Cluster != "shop-1" || len(cfg.RuntimePSKs) != 2 || cfg.Lease != 2*time.Second || cfg.ShutdownGracePeriod != 90*time.Second {
		t.Errorf("read %+v", cfg)
	}
	if cfg.Provider.Type != config.ProviderMemory || cfg.Log != (config.Log{Level: "warn", Format: "json"}) {
		t.Errorf("read %+v", cfg)
	}
	if d := cfg.Deliveries; d.PerSecond != 1000 || d.Burst != 100 || len(d.Types) != 1 || d.Types[0] != (config.TypeDeliveries{Type: "cart", PerSecond: 10}) {
		t.Errorf("read %+v", d)
	}
	if warnings := cfg.Warnings(); len(warnings) != 0 {
		t.Errorf("warnings of good keys: %v", warnings)
	}
}

func TestAliasesAreFollowed(t *testing.T) {
	t.Parallel()
	text := strings.Replace(seed, `"data.db"`, "*level", 1)
	text = "log: {level: &level debug}\n" + strings.Replace(text, "log:\n  level: debug\n", "", 1)
	cfg, err := config.Parse("config.yaml", []byte(text))
	if err != nil || cfg.Provider.ConnectionString != "debug" {
		t.Errorf("read %+v, %v", cfg, err)
	}
}

func TestNoSecretIsEverShown(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("config.yaml", []byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("configuration", "config", cfg)
	}
	if strings.Contains(out.String(), "change-me") {
		t.Errorf("a secret is in the log: %s", &out)
	}
	for _, want := range []string{"127.0.0.1:7400", "data.db", "[redacted]", "francis"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log misses %q: %s", want, &out)
		}
	}
}

// A connection string is a secret: it may hold a password.
func TestConnectionStringOfPostgres(t *testing.T) {
	t.Setenv("FRANCIS_TEST_DATABASE", "postgres://u:hunter2@db/francis")
	cfg, err := config.Parse("c.yaml", []byte(`
runtimePSKs: ["example-runtime-psk-change-me"]
bootstrap: {hostPSK: "example-host-bootstrap-psk-change-me"}
provider: {type: postgres, connectionString: "env:FRANCIS_TEST_DATABASE"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Provider != (config.Provider{Type: config.ProviderPostgres, ConnectionString: "postgres://u:hunter2@db/francis"}) {
		t.Errorf("the provider is of type %s, and not what the file refers to", cfg.Provider.Type)
	}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("configured", "config", cfg, "provider", cfg.Provider)
	if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "postgres") {
		t.Errorf("the log says %s", &out)
	}
}

func TestDialAddress(t *testing.T) {
	t.Parallel()
	for bind, want := range map[string]string{
		"127.0.0.1:7400":   "127.0.0.1:7400",
		"0.0.0.0:7400":     "127.0.0.1:7400",
		":7400":            "127.0.0.1:7400",
		"[::]:7400":        "[::1]:7400",
		"10.0.0.8:7400":    "10.0.0.8:7400",
		"runtime.lan:7400": "runtime.lan:7400",
	} {
		if got := (&config.Config{Bind: bind}).DialAddress(); got != want {
			t.Errorf("a runtime at %s is dialled at %s, want %s", bind, got, want)
		}
	}
}

func TestLoadTellsWhyAFileCannotBeRead(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, test := range map[string]struct{ file, want string }{
		"missing": {filepath.Join(folder, "none.yaml"), "none.yaml: the configuration cannot be read: no such file or directory; name it with -config or FRANCIS_CONFIG"},
		"folder":  {folder, "the configuration cannot be read: is a directory; name it with -config or FRANCIS_CONFIG"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(test.file)
			var problems config.Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// chdir goes to a new folder with a home folder of its own, and returns both.
func chdir(t *testing.T) (work, home string) {
	t.Helper()
	work, home = t.TempDir(), t.TempDir()
	t.Chdir(work)
	t.Setenv("HOME", home)
	t.Setenv(config.Variable, "")
	return work, home
}

func write(t *testing.T, file string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFindTakesTheFirst(t *testing.T) {
	_, home := chdir(t)
	expect := func(flag, want string) {
		t.Helper()
		if got, err := config.Find(flag); err != nil || got != want {
			t.Errorf("found %q, %v; want %q", got, err, want)
		}
	}
	atHome := filepath.Join(home, ".francis", "config.json")
	write(t, atHome)
	expect("", atHome)
	write(t, "config.yml")
	expect("", "config.yml")
	write(t, "config.yaml")
	expect("", "config.yaml")
	t.Setenv(config.Variable, "from-environment.yaml")
	expect("", "from-environment.yaml")
	expect("from-flag.yaml", "from-flag.yaml")
}

func TestFindTellsWhereItLooked(t *testing.T) {
	_, home := chdir(t)
	_, err := config.Find("")
	if err == nil {
		t.Skip("there is a configuration in /etc/francis")
	}
	want := "no configuration found; name it with -config or FRANCIS_CONFIG, or write one of: config.yaml, config.yml, config.json, " +
		home + "/.francis/config.yaml, " + home + "/.francis/config.yml, " + home + "/.francis/config.json, " +
		"/etc/francis/config.yaml, /etc/francis/config.yml, /etc/francis/config.json"
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
