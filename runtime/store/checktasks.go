package store

import (
	"errors"
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/limit"
)

// DamagedTask stands for a task whose row is damaged.
func DamagedTask(key TaskKey) *runtimev1.ScheduledTask {
	return &runtimev1.ScheduledTask{Task: &runtimev1.Task{Key: key.Message()}, Error: ErrDamagedTask.Error()}
}

// MaxListed is how many tasks or actors a list has at most, and Listed how many without a limit.
const (
	MaxListed = 1_000
	Listed    = 100
)

// ErrDamagedTask is the error of a task that is listed and whose row is damaged.
var ErrDamagedTask = errors.New("the stored task is damaged and is never delivered; delete it, or set it anew")

// CheckChanges reports, as ErrInvalid, why changes cannot be made.
func CheckChanges(changes []*runtimev1.TaskChange) error {
	if err := checkChanges(changes); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// CheckSettlements reports, as ErrInvalid, why settlements cannot be made.
func CheckSettlements(settlements []*runtimev1.Settlement) error {
	if len(settlements) > limit.MaxChanges {
		return fmt.Errorf("%w: there are %d settlements; at most %d are allowed", ErrInvalid, len(settlements), limit.MaxChanges)
	}
	for _, s := range settlements {
		err := checkStage(s.GetKey(), s.GetRevision())
		if err == nil && s.GetEnd() == nil {
			err = fmt.Errorf("it does not say how it ends")
		}
		if err != nil {
			return fmt.Errorf("%w: settlement of %s: %w", ErrInvalid, quoteTask(s.GetKey()), err)
		}
	}
	return nil
}

// CheckCompletions reports, as ErrInvalid, why completions name no tasks.
func CheckCompletions(completions []*runtimev1.Completion) error {
	if len(completions) > limit.MaxChanges {
		return fmt.Errorf("%w: there are %d tasks; at most %d are allowed", ErrInvalid, len(completions), limit.MaxChanges)
	}
	for _, c := range completions {
		if err := checkStage(c.GetKey(), c.GetRevision()); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInvalid, quoteTask(c.GetKey()), err)
		}
	}
	return nil
}

// CheckDue reports, as ErrInvalid, why it cannot be said what is due.
func CheckDue(query DueQuery) error {
	if query.Type == "" || query.Limit < 1 || query.Limit > MaxDue {
		return fmt.Errorf("%w: a query for what is due has a type and a limit from 1 to %d", ErrInvalid, MaxDue)
	}
	return nil
}

// CheckList reports, as ErrInvalid, why tasks cannot be listed.
func CheckList(req *runtimev1.ListRequest) error {
	switch {
	case req.GetType() == "":
		return fmt.Errorf("%w: a list is of an actor type", ErrInvalid)
	case req.GetId() == "" && req.GetName() != "":
		return fmt.Errorf("%w: a list of a name is that of one actor; say its id", ErrInvalid)
	case req.GetLimit() > MaxListed:
		return fmt.Errorf("%w: %d tasks are to be listed; at most %d are allowed", ErrInvalid, req.GetLimit(), MaxListed)
	}
	return nil
}

// checkTasks reports what is wrong with what a record does to tasks. It completes a
// delivery of its own actor; its changes may concern others.
func checkTasks(record *runtimev1.Record) error {
	if c := record.GetCompletes(); c != nil {
		if err := checkStage(c.GetKey(), c.GetRevision()); err != nil {
			return fmt.Errorf("what it completes: %w", err)
		}
		if c.GetKey().GetType() != record.GetActor().GetType() || c.GetKey().GetId() != record.GetActor().GetId() {
			return fmt.Errorf("it completes %s, of another actor", quoteTask(c.GetKey()))
		}
	}
	return checkChanges(record.GetChanges())
}

func checkChanges(changes []*runtimev1.TaskChange) error {
	if len(changes) > limit.MaxChanges {
		return fmt.Errorf("there are %d changes of tasks; at most %d are allowed", len(changes), limit.MaxChanges)
	}
	revived := 0
	for _, change := range changes {
		key := ChangedKey(change)
		if err := checkTaskKey(key); err != nil {
			return fmt.Errorf("change of %s: %w", quoteTask(key), err)
		}
		if change.GetRevive() != nil {
			revived++
		}
	}
	if revived > limit.MaxRevived {
		return fmt.Errorf("%d dead letters are to be revived at once; at most %d are allowed", revived, limit.MaxRevived)
	}
	return nil
}

// ChangedKey is the key that a change is about; nil for a change that says nothing.
func ChangedKey(change *runtimev1.TaskChange) *runtimev1.TaskKey {
	switch c := change.GetChange().(type) {
	case *runtimev1.TaskChange_Set:
		return c.Set.GetKey()
	case *runtimev1.TaskChange_Delete:
		return c.Delete
	case *runtimev1.TaskChange_Revive:
		return c.Revive
	case *runtimev1.TaskChange_Bury:
		return c.Bury
	default:
		return nil
	}
}

// checkStage reports why a key and a revision name no stage of a task.
func checkStage(key *runtimev1.TaskKey, revision uint64) error {
	if revision == 0 {
		return fmt.Errorf("it has no revision")
	}
	return checkTaskKey(key)
}

func checkTaskKey(key *runtimev1.TaskKey) error {
	if k := KeyOf(key); k.Type == "" || k.ID == "" || k.Name == "" {
		return fmt.Errorf("it names no task of an actor")
	}
	return nil
}

// quoteTask is a key for people.
func quoteTask(key *runtimev1.TaskKey) string {
	k := KeyOf(key)
	kind := "alarm"
	if k.Kind == runtimev1.ListRequest_KIND_JOBS {
		kind = "job"
	}
	return fmt.Sprintf("%s %q of actor %q of type %q", kind, k.Name, k.ID, k.Type)
}
