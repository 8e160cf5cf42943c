//go:build without_g9

package mutant

// Once is guarantee G9: only the stage of a task that was delivered can be completed, so its
// effect happens once.
const Once = false
