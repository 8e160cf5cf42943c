package join

import (
	"context"
	"crypto/tls"
	"time"

	"connectrpc.com/connect/v2"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/pki"
)

// Issuer is what a runtime does by its authority for workers that have joined.
type Issuer struct{ Authority *pki.Authority }

// Holder issues the first certificate of a worker in this process.
func (i Issuer) Holder(worker string) (*pki.Holder, error) {
	request, err := pki.NewRequest()
	if err != nil {
		return nil, err
	}
	der, err := i.issue(worker, request.CSR())
	if err != nil {
		return nil, err
	}
	certificate, err := request.Certificate(der)
	if err != nil {
		return nil, err
	}
	return pki.NewHolder(certificate, i.Authority.Bundle()), nil
}

// Certify renews the certificate of a worker.
func (i Issuer) Certify(_ context.Context, worker string, csr []byte) (*runtimev1.CertifyResponse, error) {
	certificate, err := i.issue(worker, csr)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err.Error())
	}
	return &runtimev1.CertifyResponse{Certificate: certificate, Authorities: i.Authority.Bundle().DER()}, nil
}

func (i Issuer) issue(worker string, csr []byte) ([]byte, error) {
	who := pki.Identity{Role: pki.RoleWorker, ID: worker}
	return i.Authority.Issue(pki.Order{Identity: who, CSR: csr}, time.Now())
}

// probeTimeout is how long a worker may take to show that it is still there.
const probeTimeout = 2 * time.Second

// Probe reports whether a worker answers at an address with its certificate.
func (i Issuer) Probe(ctx context.Context, address, worker string) bool {
	certificate, err := i.Authority.IssueRuntime(pki.NewID(), time.Now())
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dialer := tls.Dialer{Config: pki.NewHolder(certificate, i.Authority.Bundle()).DialWorker(worker)}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
