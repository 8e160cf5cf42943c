// Package config reads the configuration of a runtime: one YAML or JSON file,
// found by [Find], read and checked as a whole by [Load].
//
// Everything that is wrong with a file is found before anything is opened, and
// is told at once: [Problems] has a line for each, with the place and the fix.
// A secret is written in the file, or is a reference: "env:NAME" or "file:PATH".
//
// It imports internal/pki, which knows what a good key is, and the limits of
// internal/core; the runtime binary and its parts call it.
package config

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/francis-actors/francis/internal/core/lease"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/pki"
)

// The values of [Bootstrap.Method], [Provider.Type] and [Log.Format].
const (
	MethodPSK = "psk"

	ProviderSQLite   = "sqlite"
	ProviderPostgres = "postgres"
	ProviderMemory   = "memory"

	FormatAuto = "auto"
	FormatText = "text"
	FormatJSON = "json"
)

// LogLevels are the values of [Log.Level].
var LogLevels = []string{"debug", "info", "warn", "error"}

// The defaults of what a file may leave out.
const (
	DefaultBind                = "127.0.0.1:7400"
	DefaultCluster             = "francis"
	DefaultLease               = lease.Default
	DefaultShutdownGracePeriod = limit.ShutdownGrace
	DefaultDeliveriesPerSecond = limit.DeliveriesPerSecond
	DefaultDeliveriesBurst     = limit.DeliveriesBurst
)

// Config is what a runtime is told. A Config that [Load] or [Parse] returned is
// complete and valid; nobody changes it afterwards.
type Config struct {
	// Bind is where workers reach the runtime, "host:port". Default: [DefaultBind].
	Bind string `yaml:"bind"`
	// Cluster is the name of the cluster. It is part of every identity, so it never
	// changes in the life of a cluster. Default: [DefaultCluster].
	Cluster string `yaml:"cluster"`
	// RuntimePSKs are the keys that the cluster's authorities are derived from: the
	// first one signs, all of them verify. At least one is needed.
	RuntimePSKs []pki.Secret `yaml:"runtimePSKs"`
	// Bootstrap says how workers prove that they may join.
	Bootstrap Bootstrap `yaml:"bootstrap"`
	// Provider is where the data lives.
	Provider Provider `yaml:"provider"`
	// Log says what is logged and how.
	Log Log `yaml:"log"`
	// Lease is how long a worker may work after a renewal, from 2 to 60 seconds.
	// Default: [DefaultLease].
	Lease time.Duration `yaml:"lease"`
	// Deliveries bounds how fast alarms and jobs are delivered.
	Deliveries Deliveries `yaml:"deliveries"`
	// ShutdownGracePeriod is how long a stopping runtime waits for its workers, up to
	// an hour. Default: [DefaultShutdownGracePeriod].
	ShutdownGracePeriod time.Duration `yaml:"shutdownGracePeriod"`
}

// Bootstrap says how workers prove that they may join.
type Bootstrap struct {
	// Method is how: [MethodPSK], a secret that all workers share, is the default.
	Method string `yaml:"method"`
	// HostPSK is the shared secret of MethodPSK. It differs from every runtime key.
	HostPSK pki.Secret `yaml:"hostPSK"`
}

// Provider is where the data lives.
type Provider struct {
	// Type is [ProviderSQLite], [ProviderPostgres], or [ProviderMemory], which forgets
	// everything when the runtime ends. There is no default.
	Type string `yaml:"type"`
	// ConnectionString is the file of ProviderSQLite, relative to the working
	// directory, or how ProviderPostgres reaches its database: a URL, or settings such as
	// "host=db dbname=francis", or a reference to one. It may hold a password.
	ConnectionString string `yaml:"connectionString"`
}

// LogValue shows the file of SQLite, and nothing of a connection string that may hold a
// password.
func (p Provider) LogValue() slog.Value {
	shown := p.ConnectionString
	if p.Type != ProviderSQLite && shown != "" {
		shown = "[redacted]"
	}
	return slog.GroupValue(slog.String("type", p.Type), slog.String("connectionString", shown))
}

// Deliveries bounds how fast alarms and jobs that are due are delivered, of each actor type,
// so that many that are overdue are no storm.
type Deliveries struct {
	// PerSecond is how many in a second, up to 1,000,000. Default:
	// [DefaultDeliveriesPerSecond].
	PerSecond int `yaml:"perSecond"`
	// Burst is how many at once after a while without, up to 1,000,000. Default:
	// [DefaultDeliveriesBurst].
	Burst int `yaml:"burst"`
	// Types are the actor types that have rates of their own.
	Types []TypeDeliveries `yaml:"types"`
}

// TypeDeliveries is the rate of one actor type.
type TypeDeliveries struct {
	// Type is the actor type.
	Type string `yaml:"type"`
	// PerSecond and Burst are as in [Deliveries], which also has their defaults.
	PerSecond int `yaml:"perSecond"`
	Burst     int `yaml:"burst"`
}

// Log says what is logged and how.
type Log struct {
	// Level is "debug", "info", "warn" or "error". Default: "info".
	Level string `yaml:"level"`
	// Format is [FormatText], [FormatJSON], or [FormatAuto]: text on a terminal, JSON
	// elsewhere. Default: FormatAuto.
	Format string `yaml:"format"`
}

// Default returns a Config with every default in place. Its keys and its provider
// are still to be set.
func Default() *Config {
	return &Config{
		Bind:                DefaultBind,
		Cluster:             DefaultCluster,
		Bootstrap:           Bootstrap{Method: MethodPSK},
		Log:                 Log{Level: "info", Format: FormatAuto},
		Lease:               DefaultLease,
		Deliveries:          Deliveries{PerSecond: DefaultDeliveriesPerSecond, Burst: DefaultDeliveriesBurst},
		ShutdownGracePeriod: DefaultShutdownGracePeriod,
	}
}

// SlogLevel is the level as package slog knows it.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(l.Level)) != nil {
		return slog.LevelInfo
	}
	return level
}

// Warnings returns what is accepted but must be told, by setting: a weak secret is
// good enough where only this machine reaches the runtime.
func (c *Config) Warnings() []slog.Attr {
	var warnings []slog.Attr
	vet := func(path string, secret pki.Secret) {
		if warning, err := secret.Vet(c.Bind); err == nil && warning != "" {
			warnings = append(warnings, slog.String(path, warning))
		}
	}
	for i, secret := range c.RuntimePSKs {
		vet(fmt.Sprintf("runtimePSKs[%d]", i), secret)
	}
	vet("bootstrap.hostPSK", c.Bootstrap.HostPSK)
	return warnings
}

// Authority derives what signs and verifies the certificates of the cluster.
func (c *Config) Authority() (*pki.Authority, error) {
	return pki.NewAuthority(c.Cluster, c.RuntimePSKs...)
}

// DialAddress is the address at which this machine reaches the runtime: Bind, and
// the loopback address where Bind means all of them.
func (c *Config) DialAddress() string {
	host, port, err := net.SplitHostPort(c.Bind)
	if err != nil {
		return c.Bind
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// LogValue shows everything but the secrets, and of the runtime keys their public
// ids.
func (c *Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("bind", c.Bind),
		slog.String("cluster", c.Cluster),
		slog.Any("runtimePSKs", keyIDs(c.RuntimePSKs)),
		slog.Group("bootstrap", "method", c.Bootstrap.Method, "hostPSK", c.Bootstrap.HostPSK),
		slog.Any("provider", c.Provider),
		slog.Group("log", "level", c.Log.Level, "format", c.Log.Format),
		slog.String("lease", c.Lease.String()),
		slog.Any("deliveries", c.Deliveries),
		slog.String("shutdownGracePeriod", c.ShutdownGracePeriod.String()),
	)
}

func keyIDs(secrets []pki.Secret) []string {
	ids := make([]string, len(secrets))
	for i, secret := range secrets {
		ids[i] = secret.KeyID()
	}
	return ids
}
