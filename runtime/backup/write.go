package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"google.golang.org/protobuf/proto"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// writeBuffer is how much is written at once, in bytes.
const writeBuffer = 256 << 10

// Write writes a backup, and returns what it holds. See is told after each record how
// much there is by now; it may be nil. After an error what was written is no backup.
func Write(to io.Writer, backup store.Backup, see func(Tally)) (Tally, error) {
	w := &writer{to: bufio.NewWriterSize(to, writeBuffer), sum: sha256.New()}
	if err := w.write([]byte(magic)); err != nil {
		return w.tally, err
	}
	for record, err := range backup {
		if err == nil {
			err = w.record(record)
		}
		if err != nil {
			return w.tally, err
		}
		w.tally.add(record)
		if see != nil {
			see(w.tally)
		}
	}
	return w.tally, w.end()
}

// writer writes a stream.
type writer struct {
	to    *bufio.Writer
	sum   hash.Hash
	tally Tally
	frame []byte
}

func (w *writer) write(p []byte) error {
	n, err := w.to.Write(p)
	_, _ = w.sum.Write(p) // never fails
	w.tally.Bytes += uint64(n)
	return err
}

func (w *writer) record(record *backupv1.Record) error {
	var err error
	w.frame, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend(append(w.frame[:0], make([]byte, lengthSize)...), record)
	size := len(w.frame) - lengthSize
	switch {
	case err != nil:
		return err
	case size == 0 || size > MaxRecord:
		return fmt.Errorf("a record of the backup has %d bytes; there are 1 to %d", size, MaxRecord)
	}
	binary.BigEndian.PutUint32(w.frame, uint32(size))
	return w.write(w.frame)
}

// end writes what makes the stream whole.
func (w *writer) end() error {
	err := w.record(&backupv1.Record{Record: &backupv1.Record_Summary{Summary: w.tally.summary()}})
	if err != nil {
		return err
	}
	if err := w.write(make([]byte, lengthSize)); err != nil {
		return err
	}
	if err := w.write(endOf(w.tally.Bytes, w.sum.Sum(nil))); err != nil {
		return err
	}
	return w.to.Flush()
}
