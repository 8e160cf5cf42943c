package dev

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/francis-actors/francis/internal/pki"
	"github.com/francis-actors/francis/runtime/config"
)

// home is the folder of a cluster: its keys, its data, and the configuration that
// names them, with which a runtime can be started without the dev command too.
type home struct {
	folder    string
	temporary bool
	logLevel  string
	config    *config.Config
	// hostPSK is the secret of the workers, as they are told it.
	hostPSK string
}

// openHome makes the folder, or takes over the one that is there.
func openHome(cfg Config) (*home, error) {
	h := &home{folder: cfg.Data, temporary: cfg.Data == "", logLevel: cfg.LogLevel}
	if err := h.fill(); err != nil {
		h.close()
		return nil, fmt.Errorf("prepare the data folder: %w", err)
	}
	return h, nil
}

func (h *home) close() {
	if h.temporary && h.folder != "" {
		_ = os.RemoveAll(h.folder)
	}
}

func (h *home) fill() (err error) {
	if err := h.makeFolder(); err != nil {
		return err
	}
	for _, name := range []string{"runtime.key", "host.key"} {
		if err := makeKey(filepath.Join(h.folder, name)); err != nil {
			return err
		}
	}
	file := filepath.Join(h.folder, "config.yaml")
	if err := os.WriteFile(file, []byte(h.text()), 0o600); err != nil {
		return err
	}
	if h.config, err = config.Load(file); err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(h.folder, "host.key"))
	h.hostPSK = strings.TrimSpace(string(key))
	return err
}

func (h *home) makeFolder() (err error) {
	if h.temporary {
		h.folder, err = os.MkdirTemp("", "francis-dev-")
		return err
	}
	if h.folder, err = filepath.Abs(h.folder); err != nil {
		return err
	}
	return os.MkdirAll(h.folder, 0o700)
}

// makeKey writes a fresh key, unless there is one.
func makeKey(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, pki.NewKey())
	return errors.Join(err, f.Close())
}

// text is the configuration. It is written anew each time: the port may be taken.
func (h *home) text() string {
	return fmt.Sprintf(`# Written by "runtime dev".
bind: %q
runtimePSKs:
  - %q
bootstrap:
  method: psk
  hostPSK: %q
provider:
  type: sqlite
  connectionString: %q
log:
  level: %q
`, freeAddress(config.DefaultBind), h.secret("runtime.key"), h.secret("host.key"), filepath.Join(h.folder, "data.db"), h.logLevel)
}

func (h *home) secret(name string) string { return "file:" + filepath.Join(h.folder, name) }

// freeAddress is the address, or one with another port when that is taken.
func freeAddress(address string) string {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		host, _, _ := net.SplitHostPort(address)
		if listener, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return address
		}
	}
	defer listener.Close()
	return listener.Addr().String()
}

// describe says where the folder is and how long it stays.
func (h *home) describe() string {
	if h.temporary {
		return h.folder + " until the end (keep it with -data DIR)"
	}
	return h.folder
}
