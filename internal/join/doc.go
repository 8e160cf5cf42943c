// Package join admits workers and clients that have no certificate yet: both halves of
// the handshake by which one proves that it knows the host PSK, and receives an
// identity. It knows no store: who is admitted, and under which id, is decided by a
// function of the runtime.
//
// # The handshake
//
// All of it happens on one TLS 1.3 connection, which the worker, or the client, has
// verified against its pin before anything is sent:
//
//	worker                                              runtime
//	Begin{method, nonce, CSR, role, address, types, versions} →
//	                                 ← Challenge{nonce, version}
//	Prove{HMAC(Kc, label ‖ H(hello, challenge) ‖ cb)}   →
//	             ← Issued{worker, cluster, certificate, authorities, lease},
//	               HMAC(Ks, label ‖ H(hello, challenge, proof, issued) ‖ cb)
//
// cb is the channel binding tls-exporter (RFC 9266), which both ends compute for
// themselves: a proof is worthless on any other connection, so it cannot be relayed,
// replayed, or pass a proxy that terminates TLS. H covers the bytes of the messages
// as sent, so nobody can change a request, a role, an address, a type or a version
// on the way. Kc and Ks are two keys derived from the host PSK (HKDF, RFC 5869), so no
// message can be reflected. The challenge carries no proof of the server: its
// certificate gave one, and without a pin the proof in Issued does; so nobody learns
// anything to guess against before having proved to know the secret.
//
// A challenge is good for 10 seconds, once, and is kept with its connection. Every
// proof that fails gets one and the same error, whatever the cause; the cause is in
// the runtime's log. Only after a right proof does the runtime say what else is wrong
// (the address, the types, the request).
//
// # A runtime
//
//	server, err := join.NewServer(join.Config{
//		Secret: hostPSK,
//		Bundle: authority.Bundle,
//		Admit: func(ctx context.Context, a join.Applicant) (join.Admission, error) {
//			id := pki.NewID()
//			... // register the worker, or refuse with a *connect.Error
//			der, err := authority.Issue(pki.Order{Identity: pki.Identity{Role: a.Role, ID: id}, CSR: a.CSR}, time.Now())
//			return join.Admission{ID: id, Certificate: der, Lease: lease}, err
//		},
//		Logger: logger,
//	})
//	port, err := join.NewPort(join.PortConfig{Listener: tcp, TLS: holder.JoinServer(pki.RoleWorker, pki.RoleClient), Logger: logger})
//	go members.Serve(port.Members())              // an http.Server of the runtime: a certificate was shown
//	go server.HTTPServer().Serve(port.Joiners())  // none was
//	err = port.Run(ctx)
//
// A runtime without a [Port] mounts [Server.Handler] itself and must then install
// [Server.ConnContext].
//
// # A worker
//
//	member, err := join.Join(ctx, join.Request{
//		Runtime: "127.0.0.1:7400", Trust: trust, Secret: hostPSK, Role: pki.RoleWorker, Address: address, Types: types,
//	})
//	// member.ID, member.Holder (dials and serves with the new certificate), member.Lease
package join
