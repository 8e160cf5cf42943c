package store

import (
	"fmt"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
)

// Judge says what becomes of a record whose worker owns the actor's shard, when last
// is the identity of the last record that was applied; nil for none.
//
// A record applies only on exactly the identity it was built on. It is already
// applied only if the last one has its activation and its or a later sequence: one
// activation has one record in flight at a time, in order, so the later one was
// built on it.
func Judge(last *runtimev1.Identity, record *runtimev1.Record) runtimev1.Verdict {
	switch identity := record.GetIdentity(); {
	case sameIdentity(last, record.GetBase()):
		return runtimev1.Verdict_VERDICT_APPLIED
	case last.GetActivation() == identity.GetActivation() && last.GetSequence() >= identity.GetSequence():
		return runtimev1.Verdict_VERDICT_ALREADY_APPLIED
	default:
		return runtimev1.Verdict_VERDICT_STALE_BASE
	}
}

// sameIdentity holds an unset identity equal to an empty one.
func sameIdentity(a, b *runtimev1.Identity) bool {
	return a.GetActivation() == b.GetActivation() && a.GetSequence() == b.GetSequence()
}

// CheckRecords reports, as ErrInvalid, why records cannot be committed in one call:
// one of them is not well formed, or two are of the same actor. Two would hang on
// their order, which drivers change to take their locks in one order.
func CheckRecords(records []*runtimev1.Record) error {
	for _, record := range records {
		if err := checkRecord(record); err != nil {
			return fmt.Errorf("%w: record of actor %q of type %q: %w",
				ErrInvalid, record.GetActor().GetId(), record.GetActor().GetType(), err)
		}
	}
	return checkDistinct(records)
}

func checkRecord(record *runtimev1.Record) error {
	base, identity := record.GetBase(), record.GetIdentity()
	switch {
	case record.GetActor().GetType() == "" || record.GetActor().GetId() == "":
		return fmt.Errorf("it names no actor")
	case identity.GetActivation() == 0 || identity.GetSequence() == 0:
		return fmt.Errorf("its identity needs an activation and a sequence from 1")
	case (base.GetActivation() == 0) != (base.GetSequence() == 0):
		return fmt.Errorf("its base has only half an identity")
	case base.GetActivation() == identity.GetActivation() && base.GetSequence() >= identity.GetSequence():
		return fmt.Errorf("its base is not before it")
	case record.GetMessage() == "" && len(record.GetData()) > 0:
		return fmt.Errorf("it has data and no message")
	case record.GetStateTtl() != nil && record.GetMessage() == "":
		return fmt.Errorf("it has no state, and says how long that lives")
	case record.GetStateTtl() != nil && record.GetStateTtl().AsDuration() <= 0:
		return fmt.Errorf("its state has no time to live")
	case record.GetDeletes() && (record.GetMessage() != "" || len(record.GetForgotten()) > 0):
		return fmt.Errorf("it deletes the actor, and has a state or forgets keys")
	}
	if err := checkKeys(record); err != nil {
		return err
	}
	return checkTasks(record)
}

// checkKeys bounds the keys of a record; the turns that accumulate in it are fewer.
func checkKeys(record *runtimev1.Record) error {
	if len(record.GetKeys()) > keys.MaxRecord || len(record.GetForgotten()) > keys.MaxRecord {
		return fmt.Errorf("it has more than %d keys", keys.MaxRecord)
	}
	for _, key := range record.GetKeys() {
		if len(key.GetDigest()) != len(keys.Digest{}) || len(key.GetRequest()) != len(keys.Digest{}) {
			return fmt.Errorf("the digests of a key have %d bytes each", len(keys.Digest{}))
		}
	}
	for _, digest := range record.GetForgotten() {
		if len(digest) != len(keys.Digest{}) {
			return fmt.Errorf("the digest of a key has %d bytes", len(keys.Digest{}))
		}
	}
	return nil
}

type actorKey struct{ typ, id string }

func checkDistinct(records []*runtimev1.Record) error {
	if len(records) < 2 {
		return nil
	}
	seen := make(map[actorKey]struct{}, len(records))
	for _, record := range records {
		seen[actorKey{record.GetActor().GetType(), record.GetActor().GetId()}] = struct{}{}
	}
	if len(seen) < len(records) {
		return fmt.Errorf("%w: a call carries at most one record of an actor; send the second one after the answer to the first", ErrInvalid)
	}
	return nil
}
