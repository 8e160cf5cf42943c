package serve

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
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

// certify renews the certificate of a member.
func (r *Runtime) certify(_ context.Context, workerID string, csr []byte) (*runtimev1.CertifyResponse, error) {
	certificate, err := r.issue(pki.RoleWorker, workerID, csr)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err.Error())
	}
	return &runtimev1.CertifyResponse{Certificate: certificate, Authorities: r.authority.Bundle().DER()}, nil
}

func (r *Runtime) issue(role pki.Role, id string, csr []byte) ([]byte, error) {
	who := pki.Identity{Role: role, ID: id}
	return r.authority.Issue(pki.Order{Identity: who, CSR: csr}, time.Now())
}

// probeTimeout is how long a worker may take to show that it is still there.
const probeTimeout = 2 * time.Second

// probe reports whether a worker answers at an address with its certificate.
func (r *Runtime) probe(ctx context.Context, address, workerID string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: r.holder.DialWorker(workerID)}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
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
