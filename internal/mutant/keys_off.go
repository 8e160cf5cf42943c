//go:build without_g7

package mutant

// Keys is guarantee G7: a call with an idempotency key happens once.
const Keys = false
