package actor

import (
	"context"
	"maps"
)

// Metadata are the key-value pairs that follow a chain of calls. It is never
// changed after it was put into a context.
type Metadata map[string]string

// Size is what counts against the limit: the bytes of all keys and values.
func (m Metadata) Size() int {
	size := 0
	for key, value := range m {
		size += len(key) + len(value)
	}
	return size
}

// With returns a copy of m that also has key.
func (m Metadata) With(key, value string) Metadata {
	with := make(Metadata, len(m)+1)
	maps.Copy(with, m)
	with[key] = value
	return with
}

type metadataKey struct{}

// NewMetadataContext returns a context that carries m.
func NewMetadataContext(ctx context.Context, m Metadata) context.Context {
	return context.WithValue(ctx, metadataKey{}, m)
}

// MetadataOf returns what ctx carries, nil for nothing.
func MetadataOf(ctx context.Context) Metadata {
	m, _ := ctx.Value(metadataKey{}).(Metadata)
	return m
}
