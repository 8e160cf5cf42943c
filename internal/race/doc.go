// Package race tells tests whether the race detector watches them, under which each step
// takes many times longer.
package race
