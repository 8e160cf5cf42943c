package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/listing"
	"github.com/francis-actors/francis/runtime/store/internal/queue"
)

// listActors is a range of the table. The length of a column is in the head of its row, so
// the pages into which large states overflow are not read, but for those that expire: when,
// lies behind the state.
const listActors = `SELECT id, version, message, expires, length(data) FROM actors WHERE type = ? AND id >= ? ORDER BY id LIMIT ?`

// ListActors implements store.Records.
func (s *Store) ListActors(ctx context.Context, req *runtimev1.ListActorsRequest) (*runtimev1.ListActorsResponse, error) {
	if err := store.CheckListActors(req); err != nil {
		return nil, err
	}
	var page *listing.Page
	_, err := queue.Ask(ctx, s.pages, func(p *pager) (err error) {
		page, err = p.listActors(req)
		return err
	})
	if err != nil { // the pager may still be at it
		return nil, wrap("list actors", err)
	}
	return page.Response(), nil
}

func (p *pager) listActors(req *runtimev1.ListActorsRequest) (*listing.Page, error) {
	page, now := listing.NewPage(req), p.now()
	err := p.actors.each(func(row []driver.Value) error {
		c := &columns{row: row}
		id, actor := listed(c, now)
		if c.err == nil && !page.Visit(id, actor) {
			return errEnough
		}
		return c.err
	}, req.GetType(), page.From(), int64(page.Rows()))
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return page, nil
}

// listed is an actor that is listed, nil for one without state.
func listed(row *columns, now time.Time) (string, *runtimev1.ListedActor) {
	id, version, message := row.text(), row.uint(), row.text()
	times, size := store.Times{Expires: int64(row.uint())}, row.uint()
	if message == "" || times.Expired(now) {
		return id, nil
	}
	return id, &runtimev1.ListedActor{Id: id, Version: version, Size: size}
}
