//go:build !without_g9

package mutant

// Once is guarantee G9: the record of a delivery completes it in the same transaction, and is
// refused if that was done before, so its effect happens once.
const Once = true
