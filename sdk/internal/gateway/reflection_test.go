package gateway

import (
	"testing"

	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/core/contract"
)

// Of an actor type the files of its present contract are kept, and no earlier ones: a
// gateway may live through any number of them.
func TestReflectionForgetsEarlierContracts(t *testing.T) {
	t.Parallel()
	r := &reflection{}
	var last *contract.Contract
	for range 3 {
		c, problems := contract.Read(behaviourv1.File_behaviour_v1_behaviour_proto.Services().ByName("ProbeActor"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if files := r.filesOf(c); r.filesOf(c) != files {
			t.Error("the files of a contract were read twice")
		}
		last = c
	}
	kept := 0
	r.files.Range(func(any, any) bool { kept++; return true })
	if kept != 1 {
		t.Errorf("the files of %d contracts of %s are kept", kept, last.Type)
	}
}
