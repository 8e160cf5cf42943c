package sdk_test

import (
	"context"
	"maps"
	"testing"

	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

func TestZeroMetadata(t *testing.T) {
	t.Parallel()
	var m sdk.Metadata
	if got := m.Get("k"); got != "" {
		t.Errorf("got %q", got)
	}
	for key := range m.All() {
		t.Errorf("the key %q", key)
	}
}

// A context with more metadata leaves the one that it was made from alone.
func TestMetadata(t *testing.T) {
	t.Parallel()
	host := francistest.Start(t)
	kept := &keeper{}
	if err := behaviourv1francis.RegisterProbeActor(host, kept.New); err != nil {
		t.Fatal(err)
	}
	one := sdk.WithMetadata(t.Context(), "tenant", "acme")
	two := sdk.WithMetadata(one, "trace", "7")
	for name, test := range map[string]struct {
		ctx  context.Context
		want map[string]string
	}{
		"none":        {t.Context(), map[string]string{}},
		"one":         {one, map[string]string{"tenant": "acme"}},
		"two":         {two, map[string]string{"tenant": "acme", "trace": "7"}},
		"overwritten": {sdk.WithMetadata(two, "tenant", "umbrella"), map[string]string{"tenant": "umbrella", "trace": "7"}},
		"emptied":     {sdk.WithMetadata(one, "tenant", ""), map[string]string{"tenant": ""}},
		"two, again":  {two, map[string]string{"tenant": "acme", "trace": "7"}},
	} {
		if _, err := behaviourv1francis.NewProbeActorProxy(host.Service(), "a").Add(test.ctx, &behaviourv1.AddRequest{}); err != nil {
			t.Fatal(err)
		}
		if got := maps.Collect(kept.metadata.All()); !maps.Equal(got, test.want) {
			t.Errorf("%s: metadata %v, want %v", name, got, test.want)
		}
		if got, want := kept.metadata.Get("tenant"), test.want["tenant"]; got != want {
			t.Errorf("%s: tenant %q, want %q", name, got, want)
		}
	}
}

// keeper is a probe that keeps the metadata of its last turn.
type keeper struct {
	behaviourv1francis.UnimplementedProbeActor

	metadata sdk.Metadata
}

// New is its constructor: all probes are one.
func (k *keeper) New(context.Context, *behaviourv1francis.ProbeActorActivation) (behaviourv1francis.ProbeActor, error) {
	return k, nil
}

func (k *keeper) Add(_ context.Context, turn behaviourv1francis.ProbeActorTurn, _ *behaviourv1.AddRequest) (*behaviourv1.AddResponse, error) {
	k.metadata = turn.Metadata()
	return &behaviourv1.AddResponse{}, nil
}
