//go:build !without_g4

package mutant

// Lapse is guarantee G4: a worker whose lease has lapsed starts and answers nothing.
const Lapse = true
