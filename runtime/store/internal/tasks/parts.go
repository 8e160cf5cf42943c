package tasks

import (
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Part does items of a call in one transaction. It answers each of them, in their order,
// and those that did not fit with the verdict UNSPECIFIED.
type Part[Item, Answer any] func([]Item) ([]Answer, store.Moved, error)

// CommitInParts commits records in as many transactions as they need, one after the other.
// After an error some of them may have been committed.
func CommitInParts(records []*runtimev1.Record, commit Part[*runtimev1.Record, *runtimev1.CommitResponse_Result]) ([]*runtimev1.CommitResponse_Result, store.Moved, error) {
	return inParts(records, commit, (*runtimev1.CommitResponse_Result).GetVerdict)
}

// SettleInParts is CommitInParts for settlements.
func SettleInParts(settlements []*runtimev1.Settlement, settle Part[*runtimev1.Settlement, runtimev1.Verdict]) ([]runtimev1.Verdict, store.Moved, error) {
	return inParts(settlements, settle, func(v runtimev1.Verdict) runtimev1.Verdict { return v })
}

func inParts[Item, Answer any](items []Item, do Part[Item, Answer], verdict func(Answer) runtimev1.Verdict) ([]Answer, store.Moved, error) {
	answers, moved, err := do(items)
	if err != nil {
		return nil, store.Moved{}, err
	}
	for {
		at, rest := left(items, answers, verdict)
		if len(rest) == 0 {
			return answers, moved, nil
		}
		more, movedMore, err := do(rest)
		if err != nil {
			return nil, store.Moved{}, err
		}
		for i, answer := range more {
			answers[at[i]] = answer
		}
		moved = moved.And(movedMore)
	}
}

// left are the items that did not fit, and their places.
func left[Item, Answer any](items []Item, answers []Answer, verdict func(Answer) runtimev1.Verdict) (at []int, rest []Item) {
	for i, answer := range answers {
		if verdict(answer) == runtimev1.Verdict_VERDICT_UNSPECIFIED {
			at, rest = append(at, i), append(rest, items[i])
		}
	}
	return at, rest
}
