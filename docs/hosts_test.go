package docs_test

import (
	"testing"

	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/local"
	"github.com/francis-actors/francis/sdk/remote"
)

func inOneProcess() (sdk.Host, error) {
	return local.NewHost(local.WithSQLite("actors.db"))
}

func overADatabase(connectionString string) (sdk.Host, error) {
	return local.NewHost(local.WithPostgreSQL(connectionString))
}

func againstARuntime(psk, caPEM []byte) (sdk.Host, error) {
	return remote.NewHost(
		remote.WithAddress("10.0.0.7:7571"),
		remote.WithRuntimeAddresses("10.0.0.1:7400"),
		remote.WithHostBootstrapPSK(psk),
		remote.WithPinnedCA(caPEM),
	)
}

func againstSeveralRuntimes(psk, caPEM []byte) (sdk.Host, error) {
	return remote.NewHost(
		remote.WithAddress("10.0.0.7:7571"),
		remote.WithRuntimeAddresses("10.0.0.1:7400", "10.0.0.2:7400"),
		remote.WithHostBootstrapPSK(psk),
		remote.WithPinnedCA(caPEM),
	)
}

// TestHosts wants the hosts of docs/hosts.md to be made without an error. What they
// do then, the suite of internal/behaviour tries.
func TestHosts(t *testing.T) {
	t.Parallel()
	psk := []byte("a host secret of the documents")
	secret, err := pki.ParseSecret([]byte("a runtime secret of the documents"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := pki.NewAuthority("francis", secret)
	if err != nil {
		t.Fatal(err)
	}
	caPEM := authority.Bundle().PEM()
	for name, made := range map[string]func() (sdk.Host, error){
		"in one process":           inOneProcess,
		"over a database":          func() (sdk.Host, error) { return overADatabase("postgres://localhost/francis") },
		"against a runtime":        func() (sdk.Host, error) { return againstARuntime(psk, caPEM) },
		"against several runtimes": func() (sdk.Host, error) { return againstSeveralRuntimes(psk, caPEM) },
	} {
		if host, err := made(); err != nil || host == nil {
			t.Errorf("%s: %v, %v", name, host, err)
		}
	}
}
