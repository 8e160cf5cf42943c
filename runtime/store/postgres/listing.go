package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/listing"
)

// listActors is a range of the table. The length of a column needs none of what lies beside
// the table, where large states are.
const listActors = `SELECT id, version, message, expires, octet_length(data) FROM francis.actors
	WHERE type = $1 AND id >= $2 ORDER BY id LIMIT %d`

// ListActors implements store.Records.
func (s *Store) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	if err := store.CheckListActors(req); err != nil {
		return nil, err
	}
	for _, text := range []string{req.GetType(), req.GetPrefix(), req.GetAfter()} {
		if err := checkText(text); err != nil {
			return nil, err
		}
	}
	var page *listing.Page
	err := s.ask(ctx, "actors", func(b *pgx.Batch) {
		page = listing.NewPage(req)
		var now time.Time
		b.Queue(readClock).QueryRow(s.scanClock(&now))
		b.Queue(fmt.Sprintf(listActors, page.Rows()), req.GetType(), page.From()).
			Query(func(rows pgx.Rows) error { return visit(page, rows, now) })
	})
	if err != nil {
		return nil, err
	}
	return page.Response(), nil
}

// visit lets a page visit actors, until it is full.
func visit(page *listing.Page, rows pgx.Rows, now time.Time) error {
	defer rows.Close()
	for more := true; more && rows.Next(); {
		id, actor, err := scanListed(rows, now)
		if err != nil {
			return err
		}
		more = page.Visit(id, actor)
	}
	rows.Close()
	return rows.Err()
}

// scanListed reads an actor that is listed, nil for one without state.
func scanListed(row pgx.Row, now time.Time) (id string, actor *runtimev1.ListedActor, err error) {
	var version, size int64
	var message string
	var times store.Times
	if err := row.Scan(&id, &version, &message, &times.Expires, &size); err != nil || message == "" || times.Expired(now) {
		return id, nil, err
	}
	return id, &runtimev1.ListedActor{Id: id, Version: uint64(version), Size: uint64(size)}, nil
}
