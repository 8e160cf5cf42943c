package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/pki"
)

// maxGrace is the longest grace: a supervisor would have killed the runtime before.
const maxGrace = time.Hour

// check looks at the values of the settings that could be read.
func (r *reader) check(cfg *Config) {
	r.checkBind(cfg.Bind)
	r.checkCluster(cfg.Cluster)
	r.checkRuntimePSKs(cfg)
	r.checkBootstrap(cfg)
	r.checkProvider(&cfg.Provider)
	r.checkLog(cfg.Log)
	r.checkTimes(cfg)
	r.checkDeliveries(cfg.Deliveries)
	r.checkAuthority(cfg)
}

// checkAuthority tells what is wrong with keys that are good one by one.
func (r *reader) checkAuthority(cfg *Config) {
	if len(r.problems) > 0 {
		return
	}
	if _, err := cfg.Authority(); err != nil {
		r.report("runtimePSKs", "runtimePSKs: %v", err)
	}
}

// given reports whether the file has the setting, without a problem told of it.
func (r *reader) given(path string) bool { return r.lines[path] != 0 && !r.told[path] }

// require tells of a setting that the file must have.
func (r *reader) require(path, fix string) {
	if r.lines[path] == 0 && !r.told[path] && !r.told[sectionOf(path)] {
		r.report(path, "%s is missing; %s", path, fix)
	}
}

func sectionOf(path string) string { return path[:max(0, strings.LastIndex(path, "."))] }

func (r *reader) checkBind(bind string) {
	if !r.given("bind") {
		return
	}
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		r.report("bind", "bind %q is no address; write host:port, such as %q", bind, DefaultBind)
		return
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		r.report("bind", "bind %q has the port %q; it must be a number from 1 to 65535", bind, port)
	}
	if strings.ContainsAny(host, " /@") {
		r.report("bind", "bind %q has the host %q, which is no name and no address; write host:port, such as %q", bind, host, DefaultBind)
	}
}

func (r *reader) checkCluster(name string) {
	if err := pki.CheckCluster(name); err != nil && r.given("cluster") {
		r.report("cluster", "cluster: %v", err)
	}
}

func (r *reader) checkRuntimePSKs(cfg *Config) {
	const path = "runtimePSKs"
	r.require(path, "list at least one key; make it with `runtime gen-key`")
	if r.given(path) && len(cfg.RuntimePSKs) == 0 {
		r.report(path, "%s is empty; list at least one key; make it with `runtime gen-key`", path)
	}
	for i, key := range cfg.RuntimePSKs {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !r.given(at) {
			continue
		}
		r.checkStrength(at, key, cfg.Bind)
		if first := slices.IndexFunc(cfg.RuntimePSKs[:i], key.Equal); first >= 0 {
			r.report(at, "%s is the same key as %s[%d]; remove one", at, path, first)
		}
	}
}

func (r *reader) checkBootstrap(cfg *Config) {
	if method := cfg.Bootstrap.Method; method != MethodPSK {
		r.choice("bootstrap.method", method, MethodPSK)
		return
	}
	const path = "bootstrap.hostPSK"
	r.require(path, "workers prove with it that they may join; make one with `runtime gen-key`")
	if !r.given(path) {
		return
	}
	r.checkStrength(path, cfg.Bootstrap.HostPSK, cfg.Bind)
	if err := pki.CheckDistinct(cfg.Bootstrap.HostPSK, cfg.RuntimePSKs...); err != nil {
		r.report(path, "%s: %v", path, err)
	}
}

// checkStrength tells of a secret that is too weak for who can reach the runtime. An
// address that cannot be read says nothing about that.
func (r *reader) checkStrength(path string, secret pki.Secret, bind string) {
	if r.told["bind"] {
		return
	}
	if _, err := secret.Vet(bind); err != nil {
		r.report(path, "%s: %v", path, err)
	}
}

func (r *reader) checkProvider(p *Provider) {
	r.require("provider.type", fmt.Sprintf("write %s or %s, or %s for data that may be lost", ProviderSQLite, ProviderPostgres, ProviderMemory))
	const path = "provider.connectionString"
	switch {
	case !r.given("provider.type"):
	case p.Type == ProviderSQLite:
		r.needs(path, p.ConnectionString, `name the file that holds the data, such as "data.db"`)
	case p.Type == ProviderPostgres:
		r.needs(path, p.ConnectionString, `say how to reach the database, such as "postgres://user@host/francis", or where that is written, such as "env:DATABASE_URL"`)
		r.followProvider(p)
	case p.Type == ProviderMemory:
		if r.given(path) {
			r.report(path, "%s has no meaning for the provider memory; remove it, or write type: sqlite", path)
		}
	default:
		r.choice("provider.type", p.Type, ProviderSQLite, ProviderPostgres, ProviderMemory)
	}
}

// needs tells of a setting that is missing or empty.
func (r *reader) needs(path, value, fix string) {
	r.require(path, fix)
	if r.given(path) && value == "" {
		r.report(path, "%s is empty; %s", path, fix)
	}
}

// followProvider puts what a connection string refers to in its place.
func (r *reader) followProvider(p *Provider) {
	const path = "provider.connectionString"
	if !r.given(path) {
		return
	}
	value, err := follow(p.ConnectionString)
	if err != nil {
		r.report(path, "%s %v", path, err)
		return
	}
	p.ConnectionString = value
}

func (r *reader) checkLog(l Log) {
	r.choice("log.level", l.Level, LogLevels...)
	r.choice("log.format", l.Format, FormatAuto, FormatText, FormatJSON)
}

// choice tells of a value that is none of the choices.
func (r *reader) choice(path, value string, choices ...string) {
	if !r.given(path) || slices.Contains(choices, value) {
		return
	}
	if guess := nearest(value, choices); guess != "" {
		r.report(path, "%s %q is unknown; did you mean %q? There are: %s", path, value, guess, strings.Join(choices, ", "))
		return
	}
	r.report(path, "%s %q is unknown; there are: %s", path, value, strings.Join(choices, ", "))
}

func (r *reader) checkTimes(cfg *Config) {
	if err := lease.Check(cfg.Lease); err != nil && r.given("lease") {
		r.report("lease", "%v", err)
	}
	const path = "shutdownGracePeriod"
	if d := cfg.ShutdownGracePeriod; r.given(path) && (d < 0 || d > maxGrace) {
		r.report(path, "%s is %v; it must be between 0s and %v", path, d, maxGrace)
	}
}

func (r *reader) checkDeliveries(d Deliveries) {
	r.checkDelivery("deliveries.perSecond", d.PerSecond)
	r.checkDelivery("deliveries.burst", d.Burst)
	seen := map[string]bool{}
	for i, typ := range d.Types {
		path := fmt.Sprintf("deliveries.types[%d]", i)
		r.require(path+".type", "name the actor type")
		r.checkDelivery(path+".perSecond", typ.PerSecond)
		r.checkDelivery(path+".burst", typ.Burst)
		if !r.given(path + ".type") {
			continue
		}
		if err := name.CheckType(typ.Type); err != nil {
			r.report(path+".type", "%s.type: %v", path, err)
		}
		if seen[typ.Type] {
			r.report(path+".type", "%s.type is %q, as another one before; remove one", path, typ.Type)
		}
		seen[typ.Type] = true
	}
}

func (r *reader) checkDelivery(path string, n int) {
	if r.given(path) && (n < 1 || n > limit.MaxDeliveries) {
		r.report(path, "%s is %d; it must be between 1 and %d", path, n, limit.MaxDeliveries)
	}
}
