package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Variable is the environment variable that names the file when no flag does.
const Variable = "FRANCIS_CONFIG"

// names are what a file that nobody named is called, best first.
var names = []string{"config.yaml", "config.yml", "config.json"}

// Find returns the file to read: the one that the flag names, else the one that
// [Variable] names, else the first of config.yaml, config.yml and config.json in
// the working directory, in ~/.francis and in /etc/francis.
func Find(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if file := os.Getenv(Variable); file != "" {
		return file, nil
	}
	return findIn(folders())
}

func folders() []string {
	found := []string{"."}
	if home, err := os.UserHomeDir(); err == nil {
		found = append(found, filepath.Join(home, ".francis"))
	}
	return append(found, "/etc/francis")
}

func findIn(folders []string) (string, error) {
	var looked []string
	for _, folder := range folders {
		for _, name := range names {
			file := filepath.Join(folder, name)
			if _, err := os.Stat(file); err == nil {
				return file, nil
			}
			looked = append(looked, file)
		}
	}
	return "", Problems{{What: fmt.Sprintf("no configuration found; name it with -config or %s, or write one of: %s",
		Variable, strings.Join(looked, ", "))}}
}
