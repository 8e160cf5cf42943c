//go:build next_release

package release

const (
	// Number is the number of the release.
	Number = "v0.2.0-next"
	// OldestProtocol is the oldest version of the protocol between the members of a cluster
	// that it speaks.
	OldestProtocol = 1
	// NewestProtocol is the newest one; it speaks all between them too.
	NewestProtocol = 3
	// Extra is what follows each message that a member answers, encoded: fields that an
	// older release does not know. It is field 1,000, the text "next".
	Extra = "\xc2\x3e\x04next"
)
