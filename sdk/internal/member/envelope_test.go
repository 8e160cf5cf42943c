package member

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"
)

func message(size int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(size)), bytes.Repeat([]byte{7}, size)...)
}

// A message is read together with its prefix, of whatever size it is, and nothing waits
// for the next one.
func TestMessagesAreReadWithTheirPrefix(t *testing.T) {
	t.Parallel()
	out, in := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://there", out)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1
	body := joined(req).Body
	buffer := make([]byte, 64)
	for _, size := range []int{1, 0, 5, 10, 59, 60, 64, 128, 123, 1000, 3} { // ends with 5 bytes, and others
		sent := message(size)
		go func() {
			_, _ = in.Write(sent[:prefix])
			if len(sent) > prefix {
				_, _ = in.Write(sent[prefix:])
			}
		}()
		var got []byte
		for reads := 1; len(got) < len(sent); reads++ {
			n, err := body.Read(buffer)
			got = append(got, buffer[:n]...)
			if most := len(sent)/len(buffer) + 2; err != nil || reads > most {
				t.Fatalf("%d bytes: read %d in %d times, %v", size, len(got), reads, err)
			}
			if reads == 1 && n < min(len(sent), len(buffer)) {
				t.Errorf("%d bytes: the first read gave %d", size, n)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%d bytes: read %v", size, got)
		}
	}
	in.Close()
	if n, err := body.Read(buffer); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

// However a stream is cut, what is read is what was sent.
func TestJoinedStreamsAreTheSame(t *testing.T) {
	t.Parallel()
	var sent []byte
	for size := range 100 {
		sent = append(sent, message(size)...)
	}
	for name, cut := range map[string]io.Reader{
		"whole": bytes.NewReader(sent), "bytes": iotest.OneByteReader(bytes.NewReader(sent)),
		"halves": iotest.HalfReader(bytes.NewReader(sent)), "with the end": iotest.DataErrReader(bytes.NewReader(sent)),
	} {
		if got, err := io.ReadAll(&envelopes{ReadCloser: io.NopCloser(cut)}); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%s: read %d of %d bytes, %v", name, len(got), len(sent), err)
		}
	}
}

// What is no stream stays as it is.
func TestRequestsWithALengthStay(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://there", bytes.NewReader(message(1)))
	if err != nil {
		t.Fatal(err)
	}
	if joined(req) != req {
		t.Error("the request was changed")
	}
}
