package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	runtimev1 "github.com/francis-actors/francis/gen/francis/runtime/v1"
	"github.com/francis-actors/francis/runtime/store"
)

var listingTests = []test{
	{"actors are listed by id with what is stored of them", listedOrder},
	{"a page of actors begins after an id or with a prefix", listedRanges},
	{"pages of actors do not shift", listedPages},
	{"actors without state are not listed", listedEmptied},
	{"a page of actors looks at no more than it may list", listedBounded},
	{"ids are listed byte by byte", listedBytes},
	{"malformed lists of actors are refused", listedMalformed},
}

// put commits the first record of actors.
func (b *bench) put(ids ...string) {
	b.Helper()
	for part := range slices.Chunk(ids, 1_000) {
		var records []*runtimev1.Record
		for _, id := range part {
			records = append(records, record(id, nil, at(1, 1), "x"))
		}
		b.commit("w1", records...)
	}
}

// strip takes the state of actors that were put.
func (b *bench) strip(ids ...string) {
	b.Helper()
	for _, id := range ids {
		b.commit("w1", emptyRecord(id, at(1, 1), at(1, 2)))
	}
}

func (b *bench) listActors(req *runtimev1.ListActorsRequest) *runtimev1.ListActorsResponse {
	b.Helper()
	req.Type = "cart"
	page, err := b.ListActors(b.Context(), req)
	b.ok(err)
	return page
}

// allActors lists page by page.
func (b *bench) allActors(req *runtimev1.ListActorsRequest) (ids []string) {
	b.Helper()
	req = proto.CloneOf(req)
	for {
		page := b.listActors(req)
		ids = append(ids, idsOf(page)...)
		if page.GetNext() == "" {
			return ids
		}
		if n := len(page.GetActors()); n > int(req.GetLimit()) || page.GetNext() <= req.GetAfter() {
			b.Fatalf("a page of %d actors, where %d were asked for, which ends at %q after %q", n, req.GetLimit(), page.GetNext(), req.GetAfter())
		}
		req.After = page.GetNext()
	}
}

func idsOf(page *runtimev1.ListActorsResponse) []string {
	ids := []string{}
	for _, actor := range page.GetActors() {
		ids = append(ids, actor.GetId())
	}
	return ids
}

func listedOrder(b *bench) {
	b.single()
	_, _, err := b.RegisterType(b.Context(), &runtimev1.ActorType{Name: "carts", Service: "shop.v1.Carts"}, 1)
	b.ok(err)
	b.put("b", "c", "a")
	b.commit("w1", record("c", at(1, 1), at(1, 2), strings.Repeat("x", 100_000)))
	page := b.listActors(&runtimev1.ListActorsRequest{})
	var got []string
	for _, actor := range page.GetActors() {
		got = append(got, fmt.Sprint(actor.GetId(), " ", actor.GetVersion(), " ", actor.GetSize()))
	}
	want(b, "actors", got, []string{"a 1 1", "b 1 1", "c 2 100000"})
	want(b, "next", page.GetNext(), "")
	page, err = b.ListActors(b.Context(), &runtimev1.ListActorsRequest{Type: "carts"})
	b.ok(err)
	want(b, "of another type", idsOf(page), []string{})
}

func listedRanges(b *bench) {
	b.single()
	b.put("a", "b", "b1", "b2", "b20", "ba", "c", "ca")
	for _, test := range []struct {
		what string
		req  *runtimev1.ListActorsRequest
		want string
	}{
		{"all", &runtimev1.ListActorsRequest{}, "a b b1 b2 b20 ba c ca"},
		{"after one", &runtimev1.ListActorsRequest{After: "b1"}, "b2 b20 ba c ca"},
		{"after what is not there", &runtimev1.ListActorsRequest{After: "b3"}, "ba c ca"},
		{"after the last", &runtimev1.ListActorsRequest{After: "ca"}, ""},
		{"a prefix", &runtimev1.ListActorsRequest{Prefix: "b"}, "b b1 b2 b20 ba"},
		{"a longer one", &runtimev1.ListActorsRequest{Prefix: "b2"}, "b2 b20"},
		{"a prefix of none", &runtimev1.ListActorsRequest{Prefix: "b3"}, ""},
		{"a prefix after one of it", &runtimev1.ListActorsRequest{Prefix: "b", After: "b1"}, "b2 b20 ba"},
		{"a prefix after itself", &runtimev1.ListActorsRequest{Prefix: "b", After: "b"}, "b1 b2 b20 ba"},
		{"a prefix after one before it", &runtimev1.ListActorsRequest{Prefix: "b", After: "a"}, "b b1 b2 b20 ba"},
		{"a prefix after one behind it", &runtimev1.ListActorsRequest{Prefix: "b", After: "c"}, ""},
	} {
		want(b, test.what, strings.Join(b.allActors(test.req), " "), test.want)
		for limit := uint32(1); limit < 5; limit++ {
			test.req.Limit = limit
			want(b, fmt.Sprintf("%s in pages of %d", test.what, limit), strings.Join(b.allActors(test.req), " "), test.want)
		}
	}
}

func listedPages(b *bench) {
	b.single()
	b.put("a", "b", "c", "d", "e")
	req := &runtimev1.ListActorsRequest{Limit: 2}
	page := b.listActors(req)
	want(b, "the first page", fmt.Sprintf("%v %s", idsOf(page), page.GetNext()), "[a b] b")
	// The place where the page ends goes, something comes before it and something behind.
	b.strip("b", "d")
	b.put("a1", "bb", "f")
	b.commit("w1", record("e", at(1, 1), at(1, 2), "later"))
	req.After = page.GetNext()
	want(b, "the rest", b.allActors(req), []string{"bb", "c", "e", "f"})
}

func listedEmptied(b *bench) {
	b.single()
	b.put("a", "b", "c")
	b.strip("a", "c")
	want(b, "with state", b.allActors(&runtimev1.ListActorsRequest{Limit: 10}), []string{"b"})
	b.commit("w1", record("c", at(1, 2), at(1, 3), "again"))
	want(b, "with state again", b.allActors(&runtimev1.ListActorsRequest{Limit: 10}), []string{"b", "c"})
	b.commit("w1", record("d", nil, at(1, 1), ""))
	page := b.listActors(&runtimev1.ListActorsRequest{After: "c"})
	want(b, "a state that says nothing", fmt.Sprint(idsOf(page), page.GetActors()[0].GetSize()), "[d] 0")
}

// A page that is full of actors without state is empty, and names the next one.
func listedBounded(b *bench) {
	b.single()
	b.put("a", "b", "c", "d", "e")
	b.strip("a", "b", "c")
	page := b.listActors(&runtimev1.ListActorsRequest{Limit: 2})
	want(b, "the first page", fmt.Sprintf("%v %s", idsOf(page), page.GetNext()), "[] b")
	page = b.listActors(&runtimev1.ListActorsRequest{Limit: 2, After: page.GetNext()})
	want(b, "the second page", fmt.Sprintf("%v %s", idsOf(page), page.GetNext()), "[d] d")
	page = b.listActors(&runtimev1.ListActorsRequest{Limit: 2, After: page.GetNext()})
	want(b, "the last page", fmt.Sprintf("%v %s", idsOf(page), page.GetNext()), "[e] ")

	var many []string
	for i := range store.MaxListed + 100 {
		many = append(many, fmt.Sprintf("x%04d", i))
	}
	b.put(many...)
	page = b.listActors(&runtimev1.ListActorsRequest{Prefix: "x"})
	want(b, "without a limit", fmt.Sprintf("%v %s", len(page.GetActors()), page.GetNext()), "100 x0099")
	page = b.listActors(&runtimev1.ListActorsRequest{Prefix: "x", Limit: store.MaxListed})
	want(b, "the most", fmt.Sprintf("%v %s", len(page.GetActors()), page.GetNext()), "1000 x0999")
	want(b, "all", len(b.allActors(&runtimev1.ListActorsRequest{Prefix: "x", Limit: store.MaxListed})), len(many))
}

// No locale orders ids, and none takes two of them for one.
func listedBytes(b *bench) {
	b.single()
	ids := []string{"A", "B", "Z", "_", "a", "a b", "a%", "a_", "b", "ss", "é", "ß", "ａ", "日本", "🙂", strings.Repeat("x", 512)}
	slices.Sort(ids)
	mixed := slices.Clone(ids)
	rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	b.put(mixed...)
	for _, limit := range []uint32{1, 3, 100} {
		want(b, fmt.Sprint("in pages of ", limit), b.allActors(&runtimev1.ListActorsRequest{Limit: limit}), ids)
	}
	want(b, "with a character of several bytes", b.allActors(&runtimev1.ListActorsRequest{Prefix: "日"}), []string{"日本"})
	want(b, "with what is a wildcard elsewhere", b.allActors(&runtimev1.ListActorsRequest{Prefix: "a_"}), []string{"a_"})
}

func listedMalformed(b *bench) {
	for what, req := range map[string]*runtimev1.ListActorsRequest{
		"no type": {}, "too many": {Type: "cart", Limit: store.MaxListed + 1},
	} {
		_, err := b.ListActors(b.Context(), req)
		wantError(b, what, err, store.ErrInvalid)
	}
}
