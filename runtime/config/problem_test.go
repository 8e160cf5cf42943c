package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/francis-actors/francis/runtime/config"
)

const (
	keyOne   = "fk1_EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8_379fa9b4"
	keyTwo   = "fk1_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8_fa90cef6"
	keyThree = "fk1_MDEyMzQ1Njc4OTo7PD0-P0BBQkNERUZHSElKS0xNTk8_3ed973ec"
)

// good is a file without problems. The tests below replace a line of it.
const good = `bind: "127.0.0.1:7400"
runtimePSKs:
  - "` + keyOne + `"
bootstrap:
  method: psk
  hostPSK: "` + keyTwo + `"
provider:
  type: sqlite
  connectionString: "data.db"
log:
  level: info
lease: 5s
`

// problems are files that are wrong, and every word that is said about them.
var problems = []struct {
	name string
	// old is replaced by new in the good file; without old, new is the file.
	old, new string
	want     string
}{
	{"empty", "", "", `c.yaml: the file is empty`},
	{"only a comment", "", "# nothing\n", `c.yaml: the file is empty`},
	{"two documents", "lease: 5s", "---\nlease: 5s", `c.yaml: the file holds more than one document; remove what follows the line "---"`},
	{"open quote", `bind: "127.0.0.1:7400"`, `bind: "127.0.0.1:7400`, `c.yaml:1: this is no YAML: while parsing a block mapping: did not find expected key`},
	{"tab", "  method", "\tmethod", `c.yaml:5: this is no YAML: while scanning for the next token: found character that cannot start any token`},
	{"a list", "", "- a\n", `c.yaml:1: the file is a list, not settings; write lines such as bind: "127.0.0.1:7400"`},
	{"a text", "", "hello\n", `c.yaml:1: the file is a text, not settings; write lines such as bind: "127.0.0.1:7400"`},

	{"unknown key", "bind:", "bnd:", `c.yaml:1: there is no setting "bnd"; did you mean "bind"?`},
	{"unknown key in a section", "hostPSK", "hostpsk", `c.yaml:6: there is no setting "bootstrap.hostpsk"; did you mean "bootstrap.hostPSK"?`},
	{"unknown section", "log:", "logging:", `c.yaml:10: there is no setting "logging"; did you mean "log"?`},
	{"strange key", "lease", "colour", `c.yaml:12: there is no setting "colour"; there are bind, cluster, runtimePSKs, bootstrap, provider, log, lease, deliveries, shutdownGracePeriod`},
	{"written twice", "lease: 5s", "bind: \":1\"", `c.yaml:12: bind is written twice, first in line 1; remove one`},

	{"number for text", `bind: "127.0.0.1:7400"`, "bind: 7400", `c.yaml:1: bind is a number, not a text; put it in quotes`},
	{"nothing for text", "method: psk", "method:", `c.yaml:5: bootstrap.method is empty; it must be a text`},
	{"list for text", "method: psk", "method: [psk]", `c.yaml:5: bootstrap.method is a list; it must be a text`},
	{"text for section", "log:\n  level: info", "log: debug", `c.yaml:10: log is a text; it must be a section with level, format`},
	{"empty section", "log:\n  level: info", "log:", `c.yaml:10: log is empty; it must be a section with level, format`},
	{"text for list", "runtimePSKs:\n  - ", "runtimePSKs: ", `c.yaml:2: runtimePSKs is a text; it must be a list: one value a line, each after a dash`},
	{"number for time", "lease: 5s", "lease: 5", `c.yaml:12: lease is a number; it must be a time with its unit, such as 5s`},
	{"text for time", "lease: 5s", "lease: soon", `c.yaml:12: lease is a text; it must be a time with its unit, such as 5s`},

	{"bind without port", "127.0.0.1:7400", "127.0.0.1", `c.yaml:1: bind "127.0.0.1" is no address; write host:port, such as "127.0.0.1:7400"`},
	{"bind with a bad port", "127.0.0.1:7400", "127.0.0.1:74000", `c.yaml:1: bind "127.0.0.1:74000" has the port "74000"; it must be a number from 1 to 65535`},
	{"bind with port 0", "127.0.0.1:7400", "127.0.0.1:0", `c.yaml:1: bind "127.0.0.1:0" has the port "0"; it must be a number from 1 to 65535`},
	{"bind with a URL", "127.0.0.1:7400", "https://localhost:7400", `c.yaml:1: bind "https://localhost:7400" is no address; write host:port, such as "127.0.0.1:7400"`},
	{"bind with a bad host", "127.0.0.1:7400", "local host:7400", `c.yaml:1: bind "local host:7400" has the host "local host", which is no name and no address; write host:port, such as "127.0.0.1:7400"`},
	{"bad cluster", "lease: 5s", "cluster: My_Shop", `c.yaml:12: cluster: malformed identity: the cluster name "My_Shop" is not 1 to 63 of a–z, 0–9 and inner '-'`},
	{"short lease", "lease: 5s", "lease: 1s", `c.yaml:12: lease is 1s; it must be between 2s and 1m0s`},
	{"long lease", "lease: 5s", "lease: 2m", `c.yaml:12: lease is 2m0s; it must be between 2s and 1m0s`},
	{"no rate", "lease: 5s", "deliveries: {perSecond: 0}", `c.yaml:12: deliveries.perSecond is 0; it must be between 1 and 1000000`},
	{"too many at once", "lease: 5s", "deliveries: {burst: 1000001}", `c.yaml:12: deliveries.burst is 1000001; it must be between 1 and 1000000`},
	{"half a delivery", "lease: 5s", "deliveries: {burst: 1.5}", `c.yaml:12: deliveries.burst is a number; it must be a whole number`},
	{"a rate of no type", "lease: 5s", "deliveries: {types: [{burst: 5}]}", `c.yaml:12: deliveries.types[0].type is missing; name the actor type`},
	{"a rate of a bad type", "lease: 5s", "deliveries: {types: [{type: a/b}]}", `c.yaml:12: deliveries.types[0].type: the actor type "a/b" has the character '/'; letters, digits, '.', '_', '~' and '-' are allowed`},
	{"two rates of a type", "lease: 5s", "deliveries: {types: [{type: a}, {type: a}]}", `c.yaml:12: deliveries.types[1].type is "a", as another one before; remove one`},
	{"negative grace", "lease: 5s", "shutdownGracePeriod: -1s", `c.yaml:12: shutdownGracePeriod is -1s; it must be between 0s and 1h0m0s`},

	{"no runtime keys", "runtimePSKs:\n  - \"" + keyOne + "\"\n", "", "c.yaml:1: runtimePSKs is missing; list at least one key; make it with `runtime gen-key`"},
	{"empty runtime keys", "runtimePSKs:\n  - \"" + keyOne + "\"", "runtimePSKs: []", "c.yaml:2: runtimePSKs is empty; list at least one key; make it with `runtime gen-key`"},
	{"runtime key twice", keyOne, keyOne + "\"\n  - \"" + keyOne, `c.yaml:4: runtimePSKs[1] is the same key as runtimePSKs[0]; remove one`},
	{"short key", keyOne, "short", "c.yaml:3: runtimePSKs[0]: unusable secret: it has 5 bytes, at least 16 are needed; make a good one with `runtime gen-key`"},
	{"empty key", keyOne, "", "c.yaml:3: runtimePSKs[0]: unusable secret: it has 0 bytes, at least 16 are needed; make a good one with `runtime gen-key`"},
	{"mistyped key", keyOne, strings.Replace(keyOne, "EBES", "EBEs", 1), `c.yaml:3: runtimePSKs[0]: unusable secret: the checksum of the key does not fit; copy it again`},
	{"no host key", "  hostPSK: \"" + keyTwo + "\"\n", "", "c.yaml:4: bootstrap.hostPSK is missing; workers prove with it that they may join; make one with `runtime gen-key`"},
	{"no bootstrap", "bootstrap:\n  method: psk\n  hostPSK: \"" + keyTwo + "\"\n", "", "c.yaml:1: bootstrap.hostPSK is missing; workers prove with it that they may join; make one with `runtime gen-key`"},
	{"host key is the runtime key", keyTwo, keyOne, "c.yaml:6: bootstrap.hostPSK: unusable secret: the host PSK equals the runtime PSK ed86b27caf49848e, so every worker could act as a runtime; make another with `runtime gen-key`"},
	{"unset variable", keyOne, "env:FRANCIS_TEST_UNSET", `c.yaml:3: runtimePSKs[0] refers to the environment variable "FRANCIS_TEST_UNSET", which is not set; set it to the secret`},
	{"missing file", keyOne, "file:/nowhere/key", `c.yaml:3: runtimePSKs[0] refers to a file that cannot be read: stat /nowhere/key: no such file or directory`},

	{"unknown method", "method: psk", "method: jwt", `c.yaml:5: bootstrap.method "jwt" is unknown; there are: psk`},
	{"mistyped method", "method: psk", "method: pks", `c.yaml:5: bootstrap.method "pks" is unknown; did you mean "psk"? There are: psk`},
	{"no provider", "provider:\n  type: sqlite\n  connectionString: \"data.db\"\n", "", `c.yaml:1: provider.type is missing; write sqlite or postgres, or memory for data that may be lost`},
	{"unknown provider", "sqlite", "oracle", `c.yaml:8: provider.type "oracle" is unknown; there are: sqlite, postgres, memory`},
	{"mistyped provider", "sqlite", "sqlite3", `c.yaml:8: provider.type "sqlite3" is unknown; did you mean "sqlite"? There are: sqlite, postgres, memory`},
	{"postgres without a database", "  type: sqlite\n  connectionString: \"data.db\"\n", "  type: postgres\n", `c.yaml:7: provider.connectionString is missing; say how to reach the database, such as "postgres://user@host/francis", or where that is written, such as "env:DATABASE_URL"`},
	{"postgres with a variable that is not set", "  type: sqlite\n  connectionString: \"data.db\"\n", "  type: postgres\n  connectionString: env:FRANCIS_TEST_UNSET\n", `c.yaml:9: provider.connectionString refers to the environment variable "FRANCIS_TEST_UNSET", which is not set; set it to the secret`},
	{"sqlite without a file", "  connectionString: \"data.db\"\n", "", `c.yaml:7: provider.connectionString is missing; name the file that holds the data, such as "data.db"`},
	{"sqlite with an empty file", `"data.db"`, `""`, `c.yaml:9: provider.connectionString is empty; name the file that holds the data, such as "data.db"`},
	{"memory with a file", "sqlite", "memory", `c.yaml:9: provider.connectionString has no meaning for the provider memory; remove it, or write type: sqlite`},
	{"unknown level", "level: info", "level: verbose", `c.yaml:11: log.level "verbose" is unknown; there are: debug, info, warn, error`},
	{"mistyped level", "level: info", "level: Debug", `c.yaml:11: log.level "Debug" is unknown; did you mean "debug"? There are: debug, info, warn, error`},
	{"unknown format", "level: info", "format: xml", `c.yaml:11: log.format "xml" is unknown; there are: auto, text, json`},

	{
		"weak keys where others reach it", good, strings.Replace(seed, "127.0.0.1", "0.0.0.0", 1),
		"c.yaml:5: runtimePSKs[0]: unusable secret: the secret is a published example, and 0.0.0.0:7400 can be reached from other machines; make a good one with `runtime gen-key`\n" +
			"c.yaml:10: bootstrap.hostPSK: unusable secret: the secret is a published example, and 0.0.0.0:7400 can be reached from other machines; make a good one with `runtime gen-key`",
	},
	{
		"several", "", "bind: 7400\nrunTimePSKs: []\nprovider: {type: sqlit, file: x}\nlog: {level: 3}\n",
		`c.yaml:1: bind is a number, not a text; put it in quotes
c.yaml:1: bootstrap.hostPSK is missing; workers prove with it that they may join; make one with ` + "`runtime gen-key`" + `
c.yaml:2: there is no setting "runTimePSKs"; did you mean "runtimePSKs"?
c.yaml:3: there is no setting "provider.file"; there are type, connectionString
c.yaml:3: provider.type "sqlit" is unknown; did you mean "sqlite"? There are: sqlite, postgres, memory
c.yaml:4: log.level is a number, not a text; put it in quotes`,
	},
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, test := range problems {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := test.new
			if test.old != "" {
				text = strings.Replace(good, test.old, test.new, 1)
			}
			_, err := config.Parse("c.yaml", []byte(text))
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s\nof\n%s", err, test.want, text)
			}
			if !errors.As(err, new(config.Problems)) {
				t.Errorf("the error is a %T", err)
			}
		})
	}
}

func TestSecretReferences(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	put := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	parse := func() string {
		text := strings.Replace(good, keyOne, "file:"+file, 1)
		cfg, err := config.Parse("c.yaml", []byte(strings.Replace(text, keyTwo, "env:FRANCIS_TEST_KEY", 1)))
		if err != nil {
			return err.Error()
		}
		return cfg.RuntimePSKs[0].KeyID()
	}
	t.Setenv("FRANCIS_TEST_KEY", keyTwo)
	put(keyOne+"\n", 0o600)
	if got := parse(); got != "ed86b27caf49848e" {
		t.Errorf("the key of the file is %s", got)
	}
	put(" \n", 0o600)
	if got, want := parse(), "c.yaml:3: runtimePSKs[0] refers to "+file+", which is empty; write the secret into it"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if runtime.GOOS == "windows" {
		return
	}
	put(keyOne, 0o640)
	if got, want := parse(), "c.yaml:3: runtimePSKs[0] refers to "+file+", which others may read (its mode is 0640); run: chmod 600 "+file; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(seed))
	f.Add([]byte(good))
	for _, test := range problems {
		f.Add([]byte(test.new))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := config.Parse("c.yaml", text)
		if (cfg == nil) == (err == nil) {
			t.Errorf("neither a configuration nor an error, or both: %v", err)
		}
	})
}
