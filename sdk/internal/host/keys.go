package host

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	peerv1 "github.com/francis-actors/francis/gen/francis/peer/v1"
	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/internal/core/keys"
	"github.com/francis-actors/francis/internal/core/limit"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/internal/mutant"
	"github.com/francis-actors/francis/sdk/internal/codec"
)

// keyed is the idempotency key of a call, and what the actor is asked for it.
type keyed struct {
	name         string
	key, request keys.Digest
	// stored is what is kept for repetitions of the call, once it has been made.
	stored *runtimev1.Key
}

// kept is what is kept for repetitions of a call; nil for nothing.
func (k *keyed) kept() *runtimev1.Key {
	if k == nil {
		return nil
	}
	return k.stored
}

// keyedBy is nil for a call without a key.
func keyedBy(name string) *keyed {
	if name == "" || !mutant.Keys {
		return nil
	}
	return &keyed{name: name}
}

// digest is the first half of the SHA-256 of texts, each with its length.
func digest(texts ...[]byte) keys.Digest {
	h := sha256.New()
	for _, text := range texts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		_, _ = h.Write(length[:]) // never fails (hash.Hash)
		_, _ = h.Write(text)
	}
	return keys.Digest(h.Sum(nil)[:len(keys.Digest{})])
}

func digestIn(stored []byte) keys.Digest {
	var d keys.Digest
	copy(d[:], stored)
	return d
}

// repeated answers a call with an idempotency key that was made before, or that cannot
// be made, and reports whether it did. Any other call is a new one.
func (r *run) repeated() bool {
	if r.keyed == nil {
		return false
	}
	again, err := r.recognised()
	r.failure = err
	return again || err != nil
}

// recognised reports whether the call was made before; its reply is that of the first
// one then.
func (r *run) recognised() (bool, error) {
	request, err := encoding.Marshal(r.req)
	if err != nil {
		return false, fault.Malformed(connect.CodeInvalidArgument, "the request of "+r.method.Procedure+" cannot be encoded: "+err.Error())
	}
	a := r.activation
	if err := a.learn((*turnContext)(r), r); err != nil {
		return false, err
	}
	k := r.keyed
	k.key, k.request = digest([]byte(k.name)), digest([]byte(r.method.Procedure), request)
	switch a.extra().keys.Check(k.key, k.request, r.host.deadlines.Now()) {
	case keys.Repeated:
		return r.recall(k.key)
	case keys.Conflicting:
		return false, fault.KeyConflict(r.name(), r.method.Procedure)
	case keys.Full:
		return false, fault.TooManyKeys(r.name(), keys.Max)
	default:
		return false, nil
	}
}

// learn reads what is stored of an actor without state, which is not loaded otherwise.
func (a *activation) learn(ctx context.Context, r *run) error {
	if a.loaded {
		return nil
	}
	err := a.load(ctx, r)
	if errors.Is(err, errMoved) {
		return fault.Superseded(a.name())
	}
	return err
}

// recall takes over the reply that was stored for a key; one that is gone has expired
// in the store just now.
func (r *run) recall(key keys.Digest) (bool, error) {
	a := r.activation
	stored, pending := a.pendingReply(key)
	if !pending {
		read := a.read()
		read.Recall = key[:]
		res, err := r.host.cfg.Cluster.Load((*turnContext)(r), read)
		switch {
		case err != nil:
			return false, ended(err)
		case res.GetVerdict() == runtimev1.Verdict_VERDICT_STALE_EPOCH:
			return false, fault.Superseded(r.name())
		case res.GetVerdict() == runtimev1.Verdict_VERDICT_DAMAGED:
			return false, fault.StateMismatch(r.name(), "the checksum of a reply that was kept is wrong")
		case len(res.GetKeys()) == 0:
			a.extras.keys.Forget(key)
			return false, nil
		}
		stored = res.GetKeys()[0].GetReply()
	}
	var err error
	r.reply, err = r.restored(stored)
	return err == nil, err
}

// pendingReply is the reply of a key whose record is not durable yet.
func (a *activation) pendingReply(key keys.Digest) ([]byte, bool) {
	a.slot.mu.Lock()
	defer a.slot.mu.Unlock()
	reply, ok := a.extras.replies[key]
	return reply, ok
}

// restored is a stored reply in the form that the caller wants.
func (r *run) restored(stored []byte) (answer, error) {
	if peerv1.Codec(r.codec) == peerv1.Codec_CODEC_PROTO {
		return answer{encoded: stored}, nil
	}
	message := r.method.Reply.New()
	if err := proto.Unmarshal(stored, message); err != nil {
		return answer{}, fault.StateMismatch(r.name(), "the reply that was kept for the key does not decode as "+string(message.ProtoReflect().Descriptor().FullName()))
	}
	if r.codec == 0 {
		return answer{reply: message}, nil
	}
	encoded, err := codec.Marshal(peerv1.Codec(r.codec), message)
	if err != nil {
		return answer{}, fault.Malformed(connect.CodeInternal, "the reply of "+r.method.Procedure+" cannot be encoded: "+err.Error())
	}
	return answer{encoded: encoded}, nil
}

// remember keeps the reply of a new call with a key for repetitions.
func (r *run) remember(reply proto.Message) error {
	if r.keyed == nil {
		return nil
	}
	encoded := r.reply.encoded
	if peerv1.Codec(r.codec) != peerv1.Codec_CODEC_PROTO {
		var err error
		if encoded, err = proto.Marshal(reply); err != nil {
			return fault.Malformed(connect.CodeInternal, "the reply of "+r.method.Procedure+" cannot be encoded: "+err.Error())
		}
	}
	if len(encoded) > limit.MaxReplyKept {
		return fault.TooLarge("the reply of "+r.method.Procedure+", which is kept because the call has an idempotency key,", len(encoded), limit.MaxReplyKept)
	}
	r.keyed.stored = &runtimev1.Key{Digest: r.keyed.key[:], Request: r.keyed.request[:], Reply: encoded}
	return nil
}

// keep adds the key of a turn to the next record. The slot is locked.
func (a *activation) keep(r *run) {
	stored := r.keyed.kept()
	if stored == nil {
		return
	}
	forgotten := a.extras.keys.Add(r.keyed.key, r.keyed.request, a.slot.table.host.deadlines.Now())
	if !r.clears() { // which forgets all others
		for _, old := range forgotten {
			a.output.next.Forgotten = append(a.output.next.Forgotten, old[:])
		}
	}
	a.extras.replies[r.keyed.key] = stored.GetReply()
	next := a.output.next
	next.Keys = append(next.Keys, stored)
}

// knows takes over the keys that were loaded.
func (a *activation) knows(stored []*runtimev1.Key) {
	now := a.slot.table.host.deadlines.Now()
	for _, key := range stored {
		a.extra().keys.Add(digestIn(key.GetDigest()), digestIn(key.GetRequest()), now-key.GetAge().AsDuration())
	}
}
