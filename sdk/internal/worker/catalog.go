package worker

import (
	"context"

	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/sdk/internal/actor"
)

// catalog are the contracts of the cluster for the gateway.
type catalog struct{ worker *Worker }

func newCatalog(w *Worker) *catalog { return &catalog{worker: w} }

func (c *catalog) TypeNames() []string { return c.worker.Member.Types() }

func (c *catalog) ContractOf(typ string) *contract.Contract {
	if own := c.worker.Host.ContractOf(typ); own != nil {
		return own
	}
	return c.worker.Member.Contract(typ)
}

func (c *catalog) Service() actor.Caller { return c.worker.Host.Service() }

func (c *catalog) Serving() bool { return c.worker.Member.Serving() }

func (c *catalog) InvokeEncoded(ctx context.Context, call actor.Call) ([]byte, error) {
	return c.worker.Host.InvokeEncoded(ctx, call)
}
