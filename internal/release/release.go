// Package release says which release a build is: to people by its number, and to other
// members of a cluster by the versions of the protocol that it speaks. Version 2 of that
// knows clients.
//
// The build tag next_release makes a build of what the next release may be: it has
// another number, speaks one more version of the protocol, and the messages that it
// sends carry a field that this release does not know. Tests run both beside each other
// and roll from one to the other and back.
package release
