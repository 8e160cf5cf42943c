// Package failpoint kills the process at named points, for the tests that want to know
// what is left then. A release is built without the tag failpoints, and has none.
//
// In a build with it the environment says where, and at which of the times that the
// point is reached:
//
//	FRANCIS_FAILPOINT=before-commit:17
package failpoint

// The points.
const (
	// BeforeCommit is when a group of records is written and about to be committed.
	BeforeCommit = "before-commit"
	// AfterCommit is when it is durable.
	AfterCommit = "after-commit"
	// BeforeReply is when the runtime is about to answer a commit.
	BeforeReply = "before-reply"
	// AfterReply is just after that answer has left.
	AfterReply = "after-reply"
)

// Variable is the environment variable that names the point.
const Variable = "FRANCIS_FAILPOINT"
