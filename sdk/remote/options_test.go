package remote_test

import (
	"testing"

	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/sdk/remote"
)

const optionsPSK = "a host secret of the option tests"

func TestOptions(t *testing.T) {
	t.Parallel()
	authority, err := pki.NewAuthority("default", mustSecret(t, "a runtime secret of the option tests"))
	if err != nil {
		t.Fatal(err)
	}
	pin := remote.WithPinnedCA(authority.Bundle().PEM())
	for name, test := range map[string]struct {
		opts []remote.Option
		want string // "" is no error
	}{
		"pinned":           {[]remote.Option{pin}, ""},
		"unpinned":         {[]remote.Option{remote.WithUnsafeNoPinnedCA()}, ""},
		"no logger":        {[]remote.Option{pin, remote.WithLogger(nil)}, ""},
		"bind everywhere":  {[]remote.Option{pin, remote.WithBind(":0")}, ""},
		"no address":       {[]remote.Option{pin, remote.WithAddress("")}, `remote: no address: other workers must reach this one; use WithAddress("host:port")`},
		"no port":          {[]remote.Option{pin, remote.WithAddress("localhost")}, `remote: address localhost: missing port in address; write "host:port"`},
		"port by name":     {[]remote.Option{pin, remote.WithAddress("localhost:http")}, `remote: address "localhost:http": the port is no number from 0 to 65535; write "host:port"`},
		"no machine":       {[]remote.Option{pin, remote.WithAddress(":7571")}, `remote: the address ":7571" names no machine; give the one at which others reach it, and use WithBind to listen on all interfaces`},
		"every machine":    {[]remote.Option{pin, remote.WithAddress("0.0.0.0:7571")}, `remote: the address "0.0.0.0:7571" names no machine; give the one at which others reach it, and use WithBind to listen on all interfaces`},
		"bind to nowhere":  {[]remote.Option{pin, remote.WithBind("7571")}, `remote: address 7571: missing port in address; write "host:port"`},
		"no runtime":       {[]remote.Option{pin, remote.WithRuntimeAddresses()}, `remote: no runtime: use WithRuntimeAddresses("host:port")`},
		"runtime w/o port": {[]remote.Option{pin, remote.WithRuntimeAddresses("a:1", "b")}, `remote: address b: missing port in address; write "host:port"`},
		"no secret":        {[]remote.Option{pin, remote.WithHostBootstrapPSK(nil)}, "remote: no bootstrap secret: use WithHostBootstrapPSK with the runtime's bootstrap.hostPSK"},
		"no trust":         {nil, `remote: neither WithPinnedCA nor WithUnsafeNoPinnedCA: pin the CA that "runtime print-ca" prints, or say that you take the risk`},
		"both trusts":      {[]remote.Option{pin, remote.WithUnsafeNoPinnedCA()}, "remote: both WithPinnedCA and WithUnsafeNoPinnedCA: choose one"},
		"negative grace":   {[]remote.Option{pin, remote.WithShutdownGracePeriod(-1)}, "remote: the shutdown grace is -1ns; it cannot be negative"},
		"two faults": {
			[]remote.Option{remote.WithAddress("")},
			"remote: no address: other workers must reach this one; use WithAddress(\"host:port\")\n" +
				`neither WithPinnedCA nor WithUnsafeNoPinnedCA: pin the CA that "runtime print-ca" prints, or say that you take the risk`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := []remote.Option{
				remote.WithAddress("127.0.0.1:0"), remote.WithRuntimeAddresses("127.0.0.1:1"), remote.WithHostBootstrapPSK([]byte(optionsPSK)),
			}
			_, err := remote.NewHost(append(good, test.opts...)...)
			if err == nil && test.want != "" || err != nil && err.Error() != test.want {
				t.Errorf("error %v\nwant  %s", err, test.want)
			}
		})
	}
}

func mustSecret(t *testing.T, text string) pki.Secret {
	t.Helper()
	secret, err := pki.ParseSecret([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// What the environment does not set stays as other options say.
func TestFromEnv(t *testing.T) {
	t.Setenv(remote.EnvWorkerAddress, "127.0.0.1:0")
	t.Setenv(remote.EnvRuntimeAddresses, "127.0.0.1:1, 127.0.0.1:2")
	t.Setenv(remote.EnvHostPSK, optionsPSK)
	if _, err := remote.NewHost(remote.WithUnsafeNoPinnedCA(), remote.FromEnv()); err != nil {
		t.Error(err)
	}
	t.Setenv(remote.EnvCA, "no PEM")
	if _, err := remote.NewHost(remote.WithUnsafeNoPinnedCA(), remote.FromEnv()); err == nil {
		t.Error("a CA of the environment that is none is accepted")
	}
}
