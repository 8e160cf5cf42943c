package join

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/name"
	"github.com/francis-actors/francis/internal/pki"
)

const (
	// maxTypes is how many actor types a worker may name when it joins.
	maxTypes = 1024
	// maxAddress is the largest address: a DNS name of 253 bytes and a port.
	maxAddress = 260
)

// Applicant is who has proved to know the secret and wants to be admitted.
type Applicant struct {
	// Role is what it wants to be: a worker or a client.
	Role pki.Role
	// CSR is its certificate request, PKCS #10 in DER; the authority checks it.
	CSR []byte
	// Address is where other workers shall reach a worker: a valid "host:port".
	Address string
	// Types are the actor types that a worker serves: valid names, each once.
	Types []string
	// Version is the version of the protocol that both sides speak.
	Version uint32
	// Source is where its connection comes from.
	Source string
}

func applicant(hello *runtimev1.JoinHello, version uint32, source string) (Applicant, error) {
	a := Applicant{CSR: hello.GetCsr(), Address: hello.GetAddress(), Types: hello.GetTypes(), Version: version, Source: source}
	switch hello.GetRole() {
	case runtimev1.JoinRole_JOIN_ROLE_UNSPECIFIED, runtimev1.JoinRole_JOIN_ROLE_WORKER:
		a.Role = pki.RoleWorker
	case runtimev1.JoinRole_JOIN_ROLE_CLIENT:
		a.Role = pki.RoleClient
	default:
		return Applicant{}, fmt.Errorf("this runtime knows workers and clients, and not the role %d; upgrade the older one", hello.GetRole())
	}
	return a, checkHosting(a.Role, a.Address, a.Types)
}

// checkHosting reports what is wrong with where a member is reached and what it serves. A
// client is reached nowhere and serves nothing.
func checkHosting(role pki.Role, address string, types []string) error {
	if role == pki.RoleClient {
		if address != "" || len(types) > 0 {
			return errors.New("a client has no address and serves no actor types; join as a worker to host actors")
		}
		return nil
	}
	if err := checkAddress(address); err != nil {
		return err
	}
	return checkTypes(types)
}

// checkAddress reports why other workers could not dial address.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	number, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || portErr != nil || number == 0 || len(address) > maxAddress:
		return fmt.Errorf("the worker's address %q is not host:port; give the one at which other workers reach it", address)
	case host == "" || unspecified(host):
		return fmt.Errorf("the worker's address %q names no machine; give the one at which other workers reach it, and bind elsewhere if need be", address)
	}
	return nil
}

func unspecified(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsUnspecified()
}

func checkTypes(types []string) error {
	if len(types) > maxTypes {
		return fmt.Errorf("the worker serves %d actor types; at most %d are allowed", len(types), maxTypes)
	}
	seen := make(map[string]bool, len(types))
	for _, typ := range types {
		if err := name.CheckType(typ); err != nil {
			return err
		}
		if seen[typ] {
			return fmt.Errorf("the worker names the actor type %q twice", typ)
		}
		seen[typ] = true
	}
	return nil
}
