package sdk

import (
	"context"
	"iter"
	"maps"

	"github.com/francis-actors/francis/sdk/internal/actor"
)

// Metadata are key-value pairs that follow a chain of calls, for example a tenant
// or a trace. It cannot be changed.
type Metadata struct{ pairs actor.Metadata }

// Get returns the value of a key, "" if it is not set.
func (m Metadata) Get(key string) string { return m.pairs[key] }

// All yields the pairs in no certain order.
func (m Metadata) All() iter.Seq2[string, string] { return maps.All(m.pairs) }

// WithMetadata adds a pair to the metadata of the calls that are made with the
// returned context, and of the calls which those make in turn. The application's
// middleware sets it; clients of the gateway cannot. Keys and values of one call
// may have 4 KiB together; more fails the call as resource_exhausted.
func WithMetadata(ctx context.Context, key, value string) context.Context {
	return actor.NewMetadataContext(ctx, actor.MetadataOf(ctx).With(key, value))
}
