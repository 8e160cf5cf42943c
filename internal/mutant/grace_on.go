//go:build !without_g13

package mutant

// RestartGrace is guarantee G13: a judge that starts anew counts every worker from zero.
const RestartGrace = true
