//go:build !next_release

package release

const (
	// Number is the number of the release.
	Number = "v0.1.0"
	// OldestProtocol is the oldest version of the protocol between the members of a cluster
	// that it speaks.
	OldestProtocol = 1
	// NewestProtocol is the newest one; it speaks all between them too.
	NewestProtocol = 2
	// Extra is what follows each message that a member answers, encoded: fields that an
	// older release does not know. There are none.
	Extra = ""
)
