//go:build without_g6

package mutant

// OutputGate is guarantee G6: nothing leaves before the commits that it has seen are durable.
const OutputGate = false
