//go:build without_g5

package mutant

// Decree is guarantee G5: a worker is declared dead only if its beat is the one that was seen.
const Decree = false
