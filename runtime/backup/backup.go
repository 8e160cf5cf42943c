// Package backup writes a backup of a store as a stream of bytes, and reads it: the same
// stream whatever the store is. Every byte of it counts: a stream that was cut, changed or
// made longer is refused.
//
//	stream = magic record* end
//	magic  = "francis backup 1\n"
//	record = length of the message (4 bytes, not 0), francis.backup.v1.Record
//	end    = 0 (4 bytes), length of all before (8 bytes), SHA-256 of all before (32 bytes)
//
// Numbers have their highest byte first. "All before" has the four zeros in it. The last
// record is the summary. What a later release adds that an older one must not leave out
// gets another number in the magic.
//
// It knows no store and no file: the commands of the runtime bring both together.
package backup

import (
	"encoding/binary"
	"errors"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
)

const (
	// family begins the magic of every format, and magic is that of this one.
	family = "francis backup "
	magic  = family + "1\n"
	// MaxRecord is the largest record, in encoded bytes.
	MaxRecord = 16 << 20
	// lengthSize is the size of the length of a record.
	lengthSize = 4
)

// The ways in which a stream is no backup.
var (
	// ErrFormat means that the stream is something else, or of a later format.
	ErrFormat = errors.New("not a backup that this release can read")
	// ErrCut means that the end is missing.
	ErrCut = errors.New("the backup is cut short; copy it again, or take another one")
	// ErrDamaged means that it is not what was written.
	ErrDamaged = errors.New("the backup is damaged; copy it again, or take another one")
)

// Tally counts what a stream holds.
type Tally struct {
	// Types, Actors, Keys, Tasks and Dead count records of each kind, and Damaged those of
	// them that the store found damaged.
	Types, Actors, Keys, Tasks, Dead, Damaged uint64
	// Bytes is the length of the stream.
	Bytes uint64
}

// Rows is the number of all records but the header and the summary.
func (t Tally) Rows() uint64 { return t.Types + t.Actors + t.Keys + t.Tasks + t.Dead }

// add counts a record.
func (t *Tally) add(record *backupv1.Record) {
	damaged := false
	switch r := record.GetRecord().(type) {
	case *backupv1.Record_Type:
		t.Types++
	case *backupv1.Record_Actor:
		t.Actors++
		damaged = r.Actor.GetDamaged()
	case *backupv1.Record_Key:
		t.Keys++
		damaged = r.Key.GetDamaged()
	case *backupv1.Record_Task:
		if r.Task.GetDead() {
			t.Dead++
		} else {
			t.Tasks++
		}
		damaged = r.Task.GetDamaged()
	}
	if damaged {
		t.Damaged++
	}
}

// summary is the record that ends a backup.
func (t Tally) summary() *backupv1.Summary {
	return &backupv1.Summary{Types: t.Types, Actors: t.Actors, Keys: t.Keys, Tasks: t.Tasks, Dead: t.Dead, Damaged: t.Damaged}
}

// endOf is what follows the last record of a stream: the four zeros are behind it already.
func endOf(length uint64, digest []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, length), digest...)
}
