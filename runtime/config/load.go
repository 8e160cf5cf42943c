package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Load reads and checks a file. Its error is [Problems].
func Load(file string) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, Problems{{File: file, What: unreadable(err)}}
	}
	return Parse(file, text)
}

func unreadable(err error) string {
	var at *fs.PathError
	if !errors.As(err, &at) {
		return err.Error()
	}
	return fmt.Sprintf("the configuration cannot be read: %v; name it with -config or %s", at.Err, Variable)
}

// Parse checks the text of a file. Its error is [Problems].
func Parse(file string, text []byte) (*Config, error) {
	cfg, r := Default(), newReader(file)
	if r.decode(text, cfg) {
		r.check(cfg)
	}
	if len(r.problems) == 0 {
		return cfg, nil
	}
	r.problems.sort()
	return nil, r.problems
}
