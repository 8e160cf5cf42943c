package archive

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/internal/cluster"
)

// place is where a record stands in a backup. Every record but the first one stands
// behind the one before it.
type place struct {
	section  section
	typ      string
	kind     int32
	id, name string
	digest   []byte
}

// section is a part of a backup, in their order.
type section int

const (
	headers section = iota + 1
	types
	actors
	idempotency
	living
	dead
)

func (p place) compare(other place) int {
	return cmp.Or(
		cmp.Compare(p.section, other.section), strings.Compare(p.typ, other.typ), cmp.Compare(p.kind, other.kind),
		strings.Compare(p.id, other.id), strings.Compare(p.name, other.name), bytes.Compare(p.digest, other.digest),
	)
}

// locate returns the place of a record that is well formed.
func locate(record *backupv1.Record) (place, error) {
	switch r := record.GetRecord().(type) {
	case *backupv1.Record_Header:
		return place{section: headers}, checkHeader(r.Header)
	case *backupv1.Record_Type:
		return place{section: types, typ: r.Type.GetType().GetName()}, checkType(r.Type)
	case *backupv1.Record_Actor:
		return place{section: actors, typ: r.Actor.GetType(), id: r.Actor.GetId()}, checkActor(r.Actor)
	case *backupv1.Record_Key:
		return place{section: idempotency, typ: r.Key.GetType(), id: r.Key.GetId(), digest: r.Key.GetKey().GetDigest()}, checkKey(r.Key)
	case *backupv1.Record_Task:
		return locateTask(r.Task), checkTask(r.Task)
	default:
		return place{}, fmt.Errorf("it is of a kind that this release does not know")
	}
}

func locateTask(t *backupv1.Task) place {
	key := store.KeyOf(t.GetTask().GetTask().GetKey())
	p := place{section: living, typ: key.Type, kind: int32(key.Kind), id: key.ID, name: key.Name}
	if t.GetDead() {
		p.section = dead
	}
	return p
}

func checkHeader(h *backupv1.Header) error {
	if h.GetCluster() == "" || h.GetGeneration() == 0 || h.GetGeneration() >= cluster.MaxGeneration {
		return fmt.Errorf("its cluster is %q and its generation %d", h.GetCluster(), h.GetGeneration())
	}
	return nil
}

func checkType(t *backupv1.Type) error {
	if t.GetType().GetName() == "" || t.GetShards() == 0 || t.GetShards() > cluster.MaxShards {
		return fmt.Errorf("a type needs a name and 1 to %d shards", cluster.MaxShards)
	}
	return nil
}

func checkActor(a *backupv1.Actor) error {
	if a.GetType() == "" || a.GetId() == "" {
		return fmt.Errorf("it names no actor")
	}
	return nil
}

func checkKey(k *backupv1.Key) error {
	if k.GetType() == "" || k.GetId() == "" {
		return fmt.Errorf("it names no actor")
	}
	if key := k.GetKey(); len(key.GetDigest()) != len(keys.Digest{}) || len(key.GetRequest()) != len(keys.Digest{}) {
		return fmt.Errorf("the digests of a key have %d bytes each", len(keys.Digest{}))
	}
	return nil
}

func checkTask(t *backupv1.Task) error {
	if key := store.KeyOf(t.GetTask().GetTask().GetKey()); key.Type == "" || key.ID == "" || key.Name == "" {
		return fmt.Errorf("it names no task of an actor")
	}
	if (t.GetTask().GetRevision() == 0) != t.GetDamaged() {
		return fmt.Errorf("only a damaged task has no revision")
	}
	return nil
}
