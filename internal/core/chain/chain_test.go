package chain

import (
	"fmt"
	"slices"
	"testing"
)

// of is the chain of actors with the given ids, outermost first.
func of(ids ...string) *Link {
	var l *Link
	for _, id := range ids {
		l = &Link{Parent: l, Type: "t", ID: id}
	}
	return l
}

// deep is a chain of n actors, "0" the outermost.
func deep(n int) *Link {
	var l *Link
	for i := range n {
		l = &Link{Parent: l, Type: "t", ID: fmt.Sprint(i)}
	}
	return l
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const depth = 64
	tests := map[string]struct {
		from    *Link
		typ, id string
		want    Verdict
	}{
		"from outside":                       {nil, "t", "a", Fine},
		"another actor":                      {of("a", "b"), "t", "c", Fine},
		"itself":                             {of("a"), "t", "a", Cycle},
		"the outermost":                      {of("a", "b", "c"), "t", "a", Cycle},
		"one in the middle":                  {of("a", "b", "c"), "t", "b", Cycle},
		"the same id of another type":        {of("a", "b"), "u", "a", Fine},
		"a type and id that read the same":   {&Link{Type: "t/a", ID: "b"}, "t", "a/b", Fine},
		"an empty id":                        {of("a"), "t", "", Fine},
		"the last that is allowed":           {deep(depth - 1), "t", "x", Fine},
		"one too deep":                       {deep(depth), "t", "x", TooDeep},
		"far too deep":                       {deep(depth * 10), "t", "x", TooDeep},
		"a cycle at the limit":               {deep(depth), "t", "0", Cycle},
		"a cycle with the deepest that runs": {deep(depth), "t", "63", Cycle},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Check(test.from, test.typ, test.id, depth); got != test.want {
				t.Errorf("verdict %d, want %d", got, test.want)
			}
		})
	}
}

func TestCheckDepth(t *testing.T) {
	t.Parallel()
	for depth, want := range map[int]Verdict{0: TooDeep, 2: TooDeep, 3: Fine, 4: Fine} {
		if got := Check(of("a", "b"), "t", "c", depth); got != want {
			t.Errorf("a chain of three where %d are allowed: verdict %d, want %d", depth, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		from    *Link
		typ, id string
		want    []string
	}{
		"from outside": {nil, "cart", "1", []string{"cart/1"}},
		"a cycle":      {&Link{Parent: &Link{Type: "cart", ID: "1"}, Type: "stock", ID: "9"}, "cart", "1", []string{"cart/1", "stock/9", "cart/1"}},
		"odd ids":      {of("a/b", "日"), "t", "x y", []string{"t/a/b", "t/日", "t/x y"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Path(test.from, test.typ, test.id); !slices.Equal(got, test.want) {
				t.Errorf("path %q, want %q", got, test.want)
			}
		})
	}
}

// Callers share the links of their chain: neither function may change them.
func TestLinksAreOnlyRead(t *testing.T) {
	t.Parallel()
	chain := of("a", "b")
	left, right := &Link{chain, "t", "left"}, &Link{chain, "t", "right"}
	Check(left, "t", "x", 10)
	Path(left, "t", "x")
	if got, want := Path(right, "t", "x"), []string{"t/a", "t/b", "t/right", "t/x"}; !slices.Equal(got, want) {
		t.Errorf("path %q, want %q", got, want)
	}
}

// What a call pays at the end of the deepest chain.
func BenchmarkCheck(b *testing.B) {
	for _, held := range []int{1, 8, 63} {
		b.Run(fmt.Sprintf("held=%d", held), func(b *testing.B) {
			l := deep(held)
			for b.Loop() {
				if Check(l, "t", "x", 64) != Fine {
					b.Fatal("refused")
				}
			}
		})
	}
}
