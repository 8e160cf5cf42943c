package sqlite

import (
	"errors"

	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/tasks"
)

// apart does the items of a call together, and where one of them meets a damaged page of the
// file, each in a transaction of its own: those that do are answered so, and the others
// happen.
func apart[Item, Answer any](damaged Answer, together tasks.Part[Item, Answer]) tasks.Part[Item, Answer] {
	return func(items []Item) (answers []Answer, moved store.Moved, err error) {
		if answers, moved, err = together(items); !errors.Is(err, store.ErrDamaged) {
			return answers, moved, err
		}
		answers = nil
		for i := range items {
			switch one, now, err := together(items[i : i+1]); {
			case errors.Is(err, store.ErrDamaged):
				answers = append(answers, damaged)
			case err != nil:
				return nil, store.Moved{}, err
			default:
				answers, moved = append(answers, one...), moved.And(now)
			}
		}
		return answers, moved, nil
	}
}
