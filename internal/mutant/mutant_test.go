package mutant_test

import (
	"os/exec"
	"strings"
	"testing"
)

// Each guarantee, switched off, makes a test fail, and for the reason it should.
func TestGuaranteesAreNoticed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: building the tests without each guarantee takes a while")
	}
	for tag, proof := range map[string]struct{ pkg, test, reason string }{
		"without_g1":  {"runtime/store/memory", "TestStore/only_the_owner_at_its_epoch_writes", "want [verdict_stale_epoch]"},
		"without_g4":  {"internal/core/lease", "Test", "lapse"},
		"without_g5":  {"runtime/store/memory", "TestStore/a_decree_needs_the_beat_that_was_seen", "a_decree_needs_the_beat"},
		"without_g6":  {"sdk/internal/host", "TestReplyWaitsForCommit", "before its commit was"},
		"without_g7":  {"internal/behaviour", "TestBehaviour/in_process/R5", "has sum"},
		"without_g9":  {"runtime/store/memory", "TestStore/a_superseded_delivery_refuses_the_whole_record", "superseded"},
		"without_g13": {"internal/core/lease", "Test", "decree"},
	} {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			if out, err := goTest(t, proof.pkg, proof.test); err != nil {
				t.Fatalf("with the guarantee the test fails as well: %v\n%s", err, out)
			}
			out, err := goTest(t, proof.pkg, proof.test, "-tags", tag)
			switch {
			case err == nil:
				t.Errorf("%s in %s passes without the guarantee", proof.test, proof.pkg)
			case strings.Contains(out, "[build failed]") || strings.Contains(out, "no tests to run"):
				t.Errorf("nothing was tested:\n%s", out)
			case !strings.Contains(strings.ToLower(out), proof.reason):
				t.Errorf("the failure does not speak of %q:\n%s", proof.reason, out)
			}
		})
	}
}

func goTest(t *testing.T, pkg, test string, flags ...string) (string, error) {
	t.Helper()
	args := append([]string{"test", "-run", test, "-timeout", "2m"}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./"+pkg)...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	return string(out), err
}
