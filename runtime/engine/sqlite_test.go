package engine

import (
	"path/filepath"
	"testing"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/placement"
	"github.com/francis-actors/francis/runtime/store/sqlite"
)

// A runtime that starts again on its file goes on where it was: same workers, same
// owners at the same epochs, same state.
func TestRestartOnSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "francis.db")
	var id string
	for run := range 3 {
		file, err := sqlite.Open(sqlite.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		h := start(t, Config{Store: file})
		if run == 0 {
			id = h.join("cart").id
		}
		a := &member{Worker: h.Worker(id), h: h, table: new(placement.Table)}
		for owned := 0; owned < placement.Shards; {
			a.watch()
			shards, _ := a.owned("cart")
			owned = len(shards)
		}
		commit, err := a.Commit(t.Context(), &runtimev1.CommitRequest{Records: []*runtimev1.Record{record(0, 1)}})
		want := runtimev1.Verdict_VERDICT_ALREADY_APPLIED
		if run == 0 {
			want = runtimev1.Verdict_VERDICT_APPLIED
		}
		if err != nil || commit.GetResults()[0].GetVerdict() != want {
			t.Errorf("run %d: committed %v, %v", run, commit, err)
		}
		load, err := a.Load(t.Context(), read(record(0, 1)))
		if err != nil || string(load.GetResults()[0].GetState().GetData()) != "state" {
			t.Errorf("run %d: loaded %v, %v", run, load, err)
		}
		if answer, err := a.Renew(t.Context(), nil); err != nil || answer.GetDead() {
			t.Errorf("run %d: renewed %v, %v", run, answer, err)
		}
		if err := h.stop(); err != nil {
			t.Error(err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
}
