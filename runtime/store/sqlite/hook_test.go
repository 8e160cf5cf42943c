package sqlite

import (
	"testing"

	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

// onWriter runs something on the goroutine of the writer.
func onWriter(t testing.TB, s *Store, do func() error) {
	t.Helper()
	_, err := shell{s}.Change(t.Context(), func(*cluster.Table) (cluster.Change, error) { return cluster.Change{}, do() })
	if err != nil {
		t.Fatal(err)
	}
}
