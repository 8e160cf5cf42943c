package francistest

import (
	"context"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/fault"
)

func (*solo) Change(context.Context, []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, error) {
	return nil, fault.NotOffered("change tasks")
}

func (*solo) List(context.Context, *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	return nil, fault.NotOffered("list tasks")
}
