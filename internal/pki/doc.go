// Package pki is the identity of a cluster: its keys, its certificate authority,
// the certificates of its members and the TLS configurations by which they meet.
// It knows neither a transport nor a store, and imports only the standard library.
//
// # The model
//
// A cluster's authority is derived from the runtime secret: every replica with the
// same secret and cluster name computes the same key and, byte for byte, the same
// CA certificate, so no file is shared and no state kept. Members carry short-lived
// certificates whose one URI is their identity:
//
//	spiffe://<cluster>.francis.internal/{worker|runtime|client}/<id>
//
// Who a caller is comes from its certificate only. What it may write is decided by
// epochs, elsewhere.
//
// # A runtime
//
//	secret, err := pki.ParseSecret(text)            // each entry of runtimePSKs
//	warning, err := secret.Vet(bind)                // weak or published: warned about or refused
//	err = pki.CheckDistinct(hostSecret, secrets...) // the join secret is another one
//	authority, err := pki.NewAuthority(cluster, secrets...) // the first signs, all verify
//	certificate, err := authority.IssueRuntime(pki.NewID(), time.Now())
//	holder := pki.NewHolder(certificate, authority.Bundle())
//	config := holder.JoinServer(pki.RoleWorker, pki.RoleRuntime) // certificate optional
//
// It signs a worker's request with [Authority.Issue], and renews its own
// certificate by [Holder.SetCertificate] from [Certificate.RenewAt] on.
//
// # A worker
//
//	trust, err := pki.Pinned(caPEM)           // or pki.UnsafeNoPin()
//	request, err := pki.NewRequest()          // a fresh key, and the CSR for it
//	...                                       // internal/join gets it signed
//	certificate, err := request.Certificate(der)
//	holder := pki.NewHolder(certificate, bundle)
//	holder.DialRuntime(), holder.DialWorker(id), holder.MemberServer(pki.RoleWorker, pki.RoleRuntime)
//
// A handler learns its caller with [PeerOf] from the connection state.
//
// # TLS
//
// All configurations speak TLS 1.3 only, without session tickets, and check the
// other side in VerifyConnection, which also runs when a session is resumed
// (VerifyPeerCertificate does not). A check that fails names the cause and the fix;
// the other side sees only a TLS alert.
package pki
