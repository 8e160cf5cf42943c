package actor

import "errors"

// permanent is an error that comes again however often the method is called.
type permanent struct{ error }

// Permanent marks an error of a method as one that no further attempt mends. It reads as
// err, and whoever waits for the call is told err.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether err was marked so.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[permanent](err)
	return ok
}

// Unwrap is the error that was marked.
func (p permanent) Unwrap() error { return p.error }
