package sdk_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Whoever imports the SDK links what an actor needs and nothing else: no database
// driver, no exporter, no build tool, and nothing of the runtime.
func TestDependencies(t *testing.T) {
	t.Parallel()
	const module = "github.com/francis-actors/francis"
	allowed := []string{"", module, "connectrpc.com/connect/v2", "google.golang.org/protobuf", "github.com/cespare/xxhash/v2", "connectrpc.com/grpcreflect/v2", "github.com/cenkalti/backoff/v5", "github.com/netresearch/go-cron"} // of go-cron the parser, which says at the call whether a cron expression is one; "" is the standard library
	forbidden := []string{module + "/runtime", module + "/protoc-gen-francis", module + "/examples", module + "/internal/behaviour", "database/sql", "testing/synctest", "os/exec", "plugin"}
	for pkg, more := range map[string][]string{
		"./":            {"testing", module + "/internal/pki"},
		"./francistest": {module + "/internal/pki"}, // it is for tests
		"./remote":      {"testing"},                // it joins a cluster
	} {
		t.Run(pkg, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", pkg).Output()
			if err != nil {
				t.Fatalf("go list: %v", err)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) < 50 {
				t.Fatalf("go list names %d packages only: %q", len(lines), lines)
			}
			for _, line := range lines {
				path, from, _ := strings.Cut(line, " ")
				if !slices.Contains(allowed, from) {
					t.Errorf("%s depends on %s, of the module %s", pkg, path, from)
				}
				for _, no := range slices.Concat(forbidden, more) {
					if path == no || strings.HasPrefix(path, no+"/") {
						t.Errorf("%s depends on %s", pkg, path)
					}
				}
			}
		})
	}
}
