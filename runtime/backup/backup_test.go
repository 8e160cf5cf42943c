package backup

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/types/known/timestamppb"

	backupv1 "github.com/francis-actors/francis/gen/francis/backup/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
	"github.com/francis-actors/francis/runtime/store/memory"
)

var update = flag.Bool("update", false, "write testdata anew: only for a new format")

// records are one of each kind.
func records() []*backupv1.Record {
	state := &runtimev1.State{Identity: &runtimev1.Identity{Activation: 1 << 63, Sequence: 3}, Version: 7, Message: "shop.v1.CartState", Data: []byte("state")}
	key := &runtimev1.Key{Digest: bytes.Repeat([]byte{1}, 16), Request: bytes.Repeat([]byte{2}, 16), Reply: []byte("reply")}
	task := &runtimev1.ScheduledTask{
		Task:     &runtimev1.Task{Key: &runtimev1.TaskKey{Type: "cart", Id: "a", Name: &runtimev1.TaskKey_Alarm{Alarm: "tick"}}, Procedure: "/shop.v1.Cart/Tick", Metadata: map[string]string{"a": "1", "b": "2"}},
		Revision: 9, Due: &timestamppb.Timestamp{Seconds: 1_800_000_000},
	}
	return []*backupv1.Record{
		{Record: &backupv1.Record_Header{Header: &backupv1.Header{Cluster: "C", Generation: 2, Counter: 300, Taken: &timestamppb.Timestamp{Seconds: 1_790_000_000}}}},
		{Record: &backupv1.Record_Type{Type: &backupv1.Type{Type: &runtimev1.ActorType{Name: "cart", Service: "shop.v1.Cart"}, Shards: 4}}},
		{Record: &backupv1.Record_Actor{Actor: &backupv1.Actor{Type: "cart", Id: "a", State: state, Keyed: 1_780_000_000}}},
		{Record: &backupv1.Record_Actor{Actor: &backupv1.Actor{Type: "cart", Id: "b", State: &runtimev1.State{Identity: &runtimev1.Identity{Activation: 5, Sequence: 1}, Version: 1}, Emptied: 1_780_000_001}}},
		{Record: &backupv1.Record_Key{Key: &backupv1.Key{Type: "cart", Id: "a", Key: key, Since: 1_780_000_000}}},
		{Record: &backupv1.Record_Task{Task: &backupv1.Task{Task: task}}},
		{Record: &backupv1.Record_Task{Task: &backupv1.Task{Task: &runtimev1.ScheduledTask{Task: &runtimev1.Task{Key: task.GetTask().GetKey()}}, Dead: true, Damaged: true}}},
	}
}

func replay(records []*backupv1.Record, end error) store.Backup {
	return func(yield func(*backupv1.Record, error) bool) {
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
		if end != nil {
			yield(nil, end)
		}
	}
}

func written(t testing.TB) []byte {
	t.Helper()
	var stream bytes.Buffer
	tally, err := Write(&stream, replay(records(), nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Tally{Types: 1, Actors: 2, Keys: 1, Tasks: 1, Dead: 1, Damaged: 1, Bytes: uint64(stream.Len())}); tally != want || tally.Rows() != 6 {
		t.Errorf("the tally is %+v, want %+v", tally, want)
	}
	return stream.Bytes()
}

func readAll(from io.Reader) (all []*backupv1.Record, err error) {
	for record, err := range Read(from, nil) {
		if err != nil {
			return all, err
		}
		all = append(all, record)
	}
	return all, nil
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	stream := written(t)
	for name, from := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream)), "with the end": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		got, err := readAll(from)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(records()) {
			t.Errorf("%s: read %v, error %v", name, got, err)
		}
	}
	var last Tally
	tally, err := Verify(bytes.NewReader(stream), func(t Tally) { last = t })
	if err != nil || tally != last || tally.Bytes != uint64(len(stream)) || tally.Rows() != 6 {
		t.Errorf("verify: %+v, error %v; %d bytes were written", tally, err, len(stream))
	}
}

// TestFormat holds the bytes to what was written once: backups are kept for years.
func TestFormat(t *testing.T) {
	t.Parallel()
	const golden = "testdata/format1.backup"
	if *update {
		if err := os.WriteFile(golden, written(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readAll(bytes.NewReader(stream))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(records()) {
		t.Errorf("read %v, error %v", got, err)
	}
	if !bytes.Equal(stream, written(t)) {
		t.Error("the same records are written with other bytes")
	}
}

func TestEveryPrefixIsRefused(t *testing.T) {
	t.Parallel()
	stream := written(t)
	for n := range stream {
		_, err := Verify(bytes.NewReader(stream[:n]), nil)
		if !errors.Is(err, ErrCut) && (n > 0 || !errors.Is(err, ErrFormat)) {
			t.Errorf("%d of %d bytes: error %v", n, len(stream), err)
		}
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	stream := written(t)
	for at := range stream {
		for bit := range 8 {
			flipped := bytes.Clone(stream)
			flipped[at] ^= 1 << bit
			_, err := Verify(bytes.NewReader(flipped), nil)
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrCut) {
				t.Errorf("bit %d of byte %d of %d: error %v", bit, at, len(stream), err)
			}
		}
	}
}

// A record that is left out, given twice or put elsewhere is noticed too.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	stream := written(t)
	begin, end := len(magic), len(stream)
	for name, test := range map[string]struct {
		stream []byte
		want   error
		text   string
	}{
		"something else":  {[]byte("SQLite format 3\x00, and then some"), ErrFormat, "not a backup"},
		"nothing":         {nil, ErrFormat, "not a backup"},
		"a later format":  {[]byte("francis backup 2\n, and then some"), ErrFormat, "use a later release"},
		"a longer stream": {append(bytes.Clone(stream), 0), ErrDamaged, "behind its end"},
		"two streams":     {append(bytes.Clone(stream), stream...), ErrDamaged, "behind its end"},
		"a huge record":   {append([]byte(magic), 0xff, 0xff, 0xff, 0xff), ErrDamaged, "a record of 4294967295 bytes"},
		"no summary":      {append([]byte(magic), 0, 0, 0, 0), ErrDamaged, "a record of 0 bytes"},
		"half the bytes":  {append(bytes.Clone(stream[:begin]), stream[end-44:]...), ErrDamaged, ""},
	} {
		_, err := Verify(bytes.NewReader(test.stream), nil)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	broken := errors.New("the disk is gone")
	if _, err := Verify(io.MultiReader(bytes.NewReader(stream[:40]), iotest.ErrReader(broken)), nil); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
	if _, err := Write(io.Discard, replay(records(), broken), nil); !errors.Is(err, broken) {
		t.Errorf("a backup that ends: %v", err)
	}
	huge := &backupv1.Record{Record: &backupv1.Record_Actor{Actor: &backupv1.Actor{Type: "t", Id: "a", State: &runtimev1.State{Data: make([]byte, MaxRecord)}}}}
	if _, err := Write(io.Discard, replay([]*backupv1.Record{huge}, nil), nil); err == nil {
		t.Error("a record was written that is too large to be read")
	}
}

// What is damaged on its way is not restored, wherever the damage is.
func TestDamageIsNotRestored(t *testing.T) {
	t.Parallel()
	source := records()
	var stream bytes.Buffer
	if _, err := Write(&stream, replay(source[:6], nil), nil); err != nil {
		t.Fatal(err)
	}
	s := memory.New()
	for at := range stream.Len() {
		flipped := bytes.Clone(stream.Bytes())
		flipped[at] ^= 0x10
		if _, err := s.Restore(t.Context(), store.Restoration{Backup: Read(bytes.NewReader(flipped), nil), Replace: true}); err == nil {
			t.Fatalf("a backup was restored in which byte %d of %d is another one", at, stream.Len())
		}
	}
	if _, err := s.Restore(t.Context(), store.Restoration{Backup: Read(&stream, nil), Replace: true}); err != nil {
		t.Errorf("the backup itself: %v", err)
	}
}

// FuzzRead wants that whatever is read ends with an error or was written so.
func FuzzRead(f *testing.F) {
	stream := written(f)
	f.Add(stream)
	f.Add(stream[:len(stream)/2])
	f.Add([]byte(magic + "\x00\x00\x00\x02\x32\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		all, err := readAll(bytes.NewReader(stream))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if _, err := Write(&again, replay(all, nil), nil); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(&again)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(all) {
			t.Errorf("read %v, then %v, error %v", all, got, err)
		}
	})
}
