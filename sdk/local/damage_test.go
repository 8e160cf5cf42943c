package local

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"
	_ "modernc.org/sqlite" // to damage a file

	myactorv1 "github.com/francis-actors/francis/examples/gen/myactor/v1"
	"github.com/francis-actors/francis/examples/gen/myactor/v1/myactorv1francis"
	"github.com/francis-actors/francis/sdk"
)

// An actor whose stored state is damaged answers nobody and is never written over, until
// somebody deletes it: that needs its state no more.
func TestDamagedActorIsDeleted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.db")
	h, stop := running(t, (*Host).Run, WithSQLite(path))
	increment(t, h, 1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	damage(t, path, "UPDATE actors SET data = x'08ff01'")

	h, stop = running(t, (*Host).Run, WithSQLite(path))
	id1 := myactorv1francis.NewMyActorProxy(h.Service(), "id1")
	for range 2 {
		_, err := id1.Increment(t.Context(), &myactorv1.IncrementRequest{In: 1})
		if connect.CodeOf(err) != connect.CodeDataLoss || !strings.Contains(err.Error(), "delete the actor (sdk.Delete)") {
			t.Errorf("a call of a damaged actor: %v", err)
		}
	}
	for range 2 { // also one that is not damaged any more
		if err := sdk.Delete(t.Context(), id1.Ref, sdk.WithIdempotencyKey("delete")); err != nil {
			t.Errorf("its deletion: %v", err)
		}
	}
	increment(t, h, 1)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// damage changes the file of a store that nobody has opened.
func damage(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
