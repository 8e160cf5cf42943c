package member

import (
	"context"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
)

// Change changes tasks of any actors.
func (m *Member) Change(ctx context.Context, changes []*runtimev1.TaskChange) ([]runtimev1.ChangeResponse_Result, error) {
	s := m.session.Load()
	if s == nil {
		return nil, errNoSession
	}
	res, err := s.membership.Runtime.Change(ctx, &runtimev1.ChangeRequest{Changes: changes, Mark: m.mark()})
	m.saw(res.GetMark())
	return res.GetResults(), err
}

// List lists tasks.
func (m *Member) List(ctx context.Context, req *runtimev1.ListRequest) (*runtimev1.ListResponse, error) {
	s := m.session.Load()
	if s == nil {
		return nil, errNoSession
	}
	return s.membership.Runtime.List(ctx, req)
}
