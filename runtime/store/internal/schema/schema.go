// Package schema reads how the schema of a store has grown.
package schema

import "io/fs"

// Migrations are the statements of the migrations that a driver embeds, the first one of
// number 1: the files of its folder migrations, in the order of their names.
func Migrations(files fs.FS) []string {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		panic(err) //nolint:forbidigo // the pattern is a constant
	}
	statements := make([]string, len(names))
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err) //nolint:forbidigo // the file is embedded
		}
		statements[i] = string(text)
	}
	return statements
}
