// Package mutant switches guarantees off, each by a build tag, so that tests can prove
// that they would notice: a test that passes without the guarantee is decoration. A
// release is built without these tags, and the compiler drops what reads the constants.
//
// Each guarantee is read in exactly one place. The tags are without_g1, without_g4 and
// so on, by the numbers of docs/reliability.md.
package mutant
