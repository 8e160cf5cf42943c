package serve

import (
	"context"
	"slices"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/francis-actors/francis/internal/join"
	"github.com/francis-actors/francis/internal/pki"
)

// admit makes an applicant that has proved itself a member.
func (r *Runtime) admit(ctx context.Context, applicant join.Applicant) (join.Admission, error) {
	if applicant.Role == pki.RoleClient {
		return r.admitClient(applicant)
	}
	member, err := r.engine.Admit(ctx)
	if err != nil {
		return join.Admission{}, err
	}
	certificate, err := r.issue(pki.RoleWorker, member.WorkerID, applicant.CSR)
	return join.Admission{ID: member.WorkerID, Certificate: certificate, Lease: member.Lease}, err
}

// admitClient gives a client its certificate. The engine knows nothing of clients: they own
// nothing, so nobody has to judge them. One whose certificate comes to its end joins again.
func (r *Runtime) admitClient(applicant join.Applicant) (join.Admission, error) {
	id := pki.NewID()
	certificate, err := r.issue(pki.RoleClient, id, applicant.CSR)
	return join.Admission{ID: id, Certificate: certificate, Lease: r.engine.Lease()}, err
}

func (r *Runtime) issue(role pki.Role, id string, csr []byte) ([]byte, error) {
	who := pki.Identity{Role: role, ID: id}
	return r.authority.Issue(pki.Order{Identity: who, CSR: csr}, time.Now())
}

// workerOf is the worker whose certificate the connection of a request showed.
func workerOf(ctx context.Context) (string, error) { return memberOf(ctx, pki.RoleWorker) }

// callerOf is the worker or client whose certificate the connection of a request showed.
func callerOf(ctx context.Context) (string, error) {
	return memberOf(ctx, pki.RoleWorker, pki.RoleClient)
}

// memberOf is the id in the certificate that the connection of a request showed, of a
// member in one of these roles.
func memberOf(ctx context.Context, roles ...pki.Role) (string, error) {
	transport, ok := connecthttp.ServerInfoForContext(ctx)
	if !ok || transport.TLS() == nil {
		return "", connect.NewError(connect.CodeUnauthenticated, "the request did not come over TLS")
	}
	who, ok := pki.PeerOf(*transport.TLS())
	switch {
	case !ok:
		return "", connect.NewError(connect.CodeUnauthenticated, "the connection showed no certificate")
	case !slices.Contains(roles, who.Role):
		return "", connect.Errorf(connect.CodePermissionDenied, "%v may not ask for this", who)
	}
	return who.ID, nil
}
