package config

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/francis-actors/francis/internal/pki"
)

// secret reads a secret or what it refers to.
func (r *reader) secret(node *yaml.Node, into *pki.Secret, path string) {
	text, ok := r.text(node, path)
	if !ok {
		return
	}
	value, err := follow(text)
	if err != nil {
		r.report(path, "%s %v", path, err)
		return
	}
	if *into, err = pki.ParseSecret([]byte(value)); err != nil {
		r.report(path, "%s: %v", path, err)
	}
}

// follow returns the secret that text is or refers to.
func follow(text string) (string, error) {
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		return fromEnvironment(name)
	}
	if file, ok := strings.CutPrefix(text, "file:"); ok {
		return fromFile(file)
	}
	return text, nil
}

func fromEnvironment(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("refers to the environment variable %q, which is not set; set it to the secret", name)
	}
	return value, nil
}

func fromFile(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("refers to a file that cannot be read: %w", err)
	}
	if shared(info.Mode()) {
		return "", fmt.Errorf("refers to %s, which others may read (its mode is %#o); run: chmod 600 %[1]s", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("refers to a file that cannot be read: %w", err)
	}
	value := strings.TrimSpace(string(text))
	if value == "" {
		return "", fmt.Errorf("refers to %s, which is empty; write the secret into it", file)
	}
	return value, nil
}

// shared reports whether others than the owner may use a file. Windows keeps that
// elsewhere than in the mode.
func shared(mode fs.FileMode) bool {
	return runtime.GOOS != "windows" && mode.Perm()&0o077 != 0
}
