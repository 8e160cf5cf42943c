package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	"github.com/francis-actors/francis/runtime/store"
)

// Read is the backup in a stream. It ends without an error only at the end of a stream
// that is whole. See is told after each record, and at the
// end, how much there was by now; it may be nil.
func Read(from io.Reader, see func(Tally)) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		r := &reader{from: bufio.NewReaderSize(from, writeBuffer), sum: sha256.New()}
		if err := r.begin(); err != nil {
			yield(nil, err)
			return
		}
		for more := true; more; {
			record, err := r.next()
			if err != nil {
				yield(nil, err)
				return
			}
			if more = record != nil && yield(record, nil); see != nil {
				see(r.tally)
			}
		}
	}
}

// Verify reads a whole stream, and returns what it holds.
func Verify(from io.Reader, see func(Tally)) (Tally, error) {
	var all Tally
	for _, err := range Read(from, func(t Tally) {
		all = t
		if see != nil {
			see(t)
		}
	}) {
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// Begins reports whether a stream begins like a backup, of any format.
func Begins(from io.Reader) bool {
	have := make([]byte, len(family))
	_, err := io.ReadFull(from, have)
	return err == nil && string(have) == family
}

// reader reads a stream.
type reader struct {
	from  *bufio.Reader
	sum   hash.Hash
	tally Tally
	frame []byte
}

// read fills p.
func (r *reader) read(p []byte) error {
	if _, err := io.ReadFull(r.from, p); err != nil {
		return cut(err)
	}
	_, _ = r.sum.Write(p) // never fails
	r.tally.Bytes += uint64(len(p))
	return nil
}

// cut says what the end of a stream means where there should be more.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	return err
}

// begin reads the magic.
func (r *reader) begin() error {
	have := make([]byte, len(magic))
	n, err := io.ReadFull(r.from, have)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case err != nil && n > 0 && bytes.HasPrefix([]byte(magic), have[:n]):
		return ErrCut
	case bytes.HasPrefix(have, []byte(family)) && string(have) != magic:
		return fmt.Errorf("%w: its format is %q, and this release reads %q; use a later release", ErrFormat, have, magic)
	case string(have) != magic:
		return ErrFormat
	}
	_, _ = r.sum.Write(have) // never fails
	r.tally.Bytes = uint64(len(have))
	return nil
}

// next reads the next record that is no summary; nil at the end of a whole stream.
func (r *reader) next() (*backupv1.Record, error) {
	record, err := r.record()
	if err != nil {
		return nil, err
	}
	if summary := record.GetSummary(); summary != nil {
		return nil, r.end(summary)
	}
	r.tally.add(record)
	return record, nil
}

func (r *reader) record() (*backupv1.Record, error) {
	size, err := r.length()
	switch {
	case err != nil:
		return nil, err
	case size == 0 || size > MaxRecord:
		return nil, fmt.Errorf("%w (a record of %d bytes)", ErrDamaged, size)
	}
	r.frame = slices.Grow(r.frame[:0], int(size))[:size]
	if err := r.read(r.frame); err != nil {
		return nil, err
	}
	record := &backupv1.Record{}
	if err := proto.Unmarshal(r.frame, record); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return record, nil
}

func (r *reader) length() (uint32, error) {
	var length [lengthSize]byte
	err := r.read(length[:])
	return binary.BigEndian.Uint32(length[:]), err
}

// end compares what was read with what was written.
func (r *reader) end(summary *backupv1.Summary) error {
	switch zero, err := r.length(); {
	case err != nil:
		return err
	case zero != 0:
		return fmt.Errorf("%w (there are records behind its summary)", ErrDamaged)
	}
	want := endOf(r.tally.Bytes, r.sum.Sum(nil))
	have := make([]byte, len(want))
	if err := r.read(have); err != nil {
		return err
	}
	if !bytes.Equal(have, want) || !proto.Equal(summary, r.tally.summary()) {
		return fmt.Errorf("%w (its length, its digest or its summary does not fit)", ErrDamaged)
	}
	switch _, err := r.from.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w (there is something behind its end)", ErrDamaged)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}
