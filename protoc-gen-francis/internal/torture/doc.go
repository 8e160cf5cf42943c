// Package torture calls every method of every actor in the torture corpus
// (protoc-gen-francis/testdata/torture), through the generated proxy and a host.
// It has tests only: that they compile is half of what they show.
package torture
