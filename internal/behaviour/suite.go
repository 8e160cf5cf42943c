package behaviour

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"connectrpc.com/connect/v2"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	behaviourv1 "github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1"
	"github.com/francis-actors/francis/internal/behaviour/gen/behaviour/v1/behaviourv1francis"
	"github.com/francis-actors/francis/internal/fault"
	"github.com/francis-actors/francis/sdk"
)

// Host is a host under test.
type Host interface {
	Service() sdk.Caller
}

// Topology is a way to run actors.
type Topology struct {
	Name string
	// Test runs a test in the surroundings that the topology needs.
	Test func(t *testing.T, test func(t *testing.T))
	// Start returns a host of a cluster in which the actors are registered. It ends
	// with the test.
	Start func(t testing.TB, register func(sdk.Registrar) error) Host
	// Settle waits until every call that was made has arrived where it waits; nil
	// where that cannot be known, and the tests that need it are skipped.
	Settle func()
	// Forwards is true where the actors live on another worker than the host. What
	// became of a call that its caller gives up, is unknown then.
	Forwards bool
	// Report is told of each test when it has ended; nil for nobody.
	Report func(t testing.TB, test string)
}

// tests are the suite, by what they show.
var tests = map[string]func(t *testing.T, s *setup){
	"R1 a turn commits its state":                    commitsState,
	"R1 an error undoes the turn":                    errorUndoes,
	"R1 a panic undoes the turn and makes a new one": panicUndoes,
	"R1 the end of the goroutine counts as a panic":  goexitUndoes,
	"R1 state outlives the activation":               stateOutlivesActivation,
	"R1 a reply never aliases state":                 replyIsACopy,
	"R1 a request is not shared":                     requestIsACopy,
	"R1 a turn without a change commits nothing":     unchangedCommitsNothing,
	"R1 a failed constructor fails the call alone":   constructorFails,
	"R1 state over the limit is refused":             stateTooLarge,
	"R2 turns run one at a time in order":            turnsInOrder,
	"R2 views run beside each other":                 viewsTogether,
	"R2 a turn waits for views and is not overtaken": turnNotStarved,
	"R2 the queue is bounded":                        queueBounded,
	"R5 a repeated call returns the stored reply":    keyRepeats,
	"R5 repetitions at the same time happen once":    keyConcurrent,
	"R5 a key belongs to one actor and one request":  keyConflicts,
	"R5 a failure is not stored":                     keyFailure,
	"R5 keys outlive the activation":                 keyOutlives,
	"R5 a view ignores the key":                      keyOfView,
	"R5 an actor without state knows its keys":       keyStateless,
	"R5 malformed keys are refused":                  keyMalformed,
	"R6 a cycle fails with its path":                 cycleFails,
	"R6 a cycle through the service fails as well":   cycleThroughService,
	"R6 a view's cycle fails":                        cycleOfViews,
	"R6 the chain has a greatest depth":              chainTooDeep,
	"R6 a view calls only views":                     viewCallsOnlyViews,
	"R7 the caller does not wait past its context":   callerLeaves,
	"R7 a call that still waits leaves the queue":    waitingCallLeaves,
	"errors keep code and message":                   errorKeepsCode,
	"plain errors do not travel":                     plainErrorHidden,
	"ids are checked":                                idsChecked,
	"an empty id field is completed":                 idFieldCompleted,
	"an id field that disagrees is refused":          idFieldDisagrees,
	"metadata follows the chain":                     metadataFollows,
	"metadata is bounded":                            metadataBounded,
	"unknown types and methods are named":            unknownNames,
	"an actor is halted":                             actorHalted,
	"halting waits its turn":                         haltWaits,
	"a turn halts its actor":                         turnHalts,
	"an actor is halted by another one":              haltedByOther,
	"a call only for an active actor":                onlyIfActive,
	"actors are listed by id":                        actorsListed,
	"actors of an unknown type are not listed":       unknownTypeListed,
	"R11 a job runs once":                            jobRunsOnce,
	"R11 a job waits for its time":                   jobWaits,
	"R11 an alarm comes due at its time":             alarmComesDue,
	"R11 an alarm repeats until it is deleted":       alarmRepeats,
	"R11 an alarm is replaced by its name":           alarmReplaced,
	"R11 what is deleted does not come due":          deletedNeverRuns,
	"R11 a turn schedules with its commit":           turnSchedules,
	"R11 a failed turn schedules nothing":            failedTurnSchedulesNothing,
	"R11 an alarm sets itself again":                 alarmSetsItself,
	"R11 a failure is tried again":                   failureTriedAgain,
	"R11 what always fails becomes a dead letter":    failureDies,
	"R11 a permanent failure is not tried again":     permanentFailureDies,
	"R11 a dead letter is tried again or deleted":    deadLetterDecided,
	"R11 a job with a key takes effect once":         jobWithKey,
	"R11 an actor without state schedules and runs":  statelessLater,
	"R11 a view schedules nothing":                   viewSchedulesNothing,
	"R11 bad input is refused and not stored":        badInputRefused,
	"R11 metadata follows the delivery":              metadataFollowsDelivery,
	"a deleted actor begins anew":                    deletedBeginsAnew,
	"a deletion takes alarms and jobs along":         deletionTakesTasks,
	"a turn deletes its actor":                       turnDeletes,
	"a job deletes its actor":                        jobDeletes,
	"a deletion with a key happens once":             deletionOnce,
	"a deletion waits its turn":                      deletionWaits,
	"a deletion needs no constructor":                deletionOfBroken,
	"an actor without state is deleted":              deletionOfStateless,
	"a deletion belongs to its chain":                deletionInChain,
	"a state expires after the last record":          stateExpires,
}

// Names are the tests of the suite, in order.
func Names() []string { return slices.Sorted(maps.Keys(tests)) }

// Run runs the suite on a topology.
func Run(t *testing.T, topology Topology) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topology.Test(t, func(t *testing.T) {
				if topology.Report != nil {
					t.Cleanup(func() { topology.Report(t, name) })
				}
				test(t, newSetup(t, topology))
			})
		})
	}
}

// setup is a host that serves probes and relays.
type setup struct {
	Topology

	host    Host
	probes  *Probes
	diaries *Diaries
}

func newSetup(t *testing.T, topology Topology) *setup {
	t.Helper()
	s := &setup{Topology: topology, probes: &Probes{}, diaries: &Diaries{}}
	s.host = topology.Start(t, func(r sdk.Registrar) error {
		return errors.Join(
			behaviourv1francis.RegisterProbeActor(r, s.probes.New),
			behaviourv1francis.RegisterRelayActor(r, NewRelay),
			behaviourv1francis.RegisterDiaryActor(r, s.diaries.New),
		)
	})
	s.probes.Service = s.host.Service()
	return s
}

// settle waits until every call has arrived; a topology that cannot tell skips the
// test.
func (s *setup) settle(t *testing.T) {
	t.Helper()
	if s.Settle == nil {
		t.Skip("the order of arrival cannot be pinned on this topology; the topology in process runs this test")
	}
	s.Settle()
}

func (s *setup) probe(id string) behaviourv1francis.ProbeActorProxy {
	return behaviourv1francis.NewProbeActorProxy(s.host.Service(), id)
}

// add calls Add and returns the sum; it must succeed.
func (s *setup) add(t *testing.T, id string, in int64) int64 {
	t.Helper()
	res, err := s.probe(id).Add(t.Context(), &behaviourv1.AddRequest{In: in})
	if err != nil {
		t.Errorf("Add(%d) to %s: %v", in, id, err)
	}
	return res.GetSum()
}

// play calls Add(1) with a script.
func (s *setup) play(ctx context.Context, id string, script *behaviourv1.Script) error {
	_, err := s.probe(id).Add(ctx, &behaviourv1.AddRequest{In: 1, Script: script})
	return err
}

// read calls Read; it must succeed.
func (s *setup) read(t *testing.T, id string) *behaviourv1.ReadResponse {
	t.Helper()
	res, err := s.probe(id).Read(t.Context(), &behaviourv1.ReadRequest{})
	if err != nil {
		t.Fatalf("Read of %s: %v", id, err)
	}
	return res
}

func (s *setup) wantSum(t *testing.T, id string, want int64) {
	t.Helper()
	if got := s.read(t, id).GetSum(); got != want {
		t.Errorf("%s has sum %d, want %d", id, got, want)
	}
}

// wantError checks what every caller reads of an error.
func wantError(t *testing.T, err error, code connect.Code, reason francisv1.Reason, outcome sdk.Outcome) {
	t.Helper()
	if err == nil {
		t.Fatalf("the call succeeded, want code %v", code)
	}
	if got := connect.CodeOf(err); got != code {
		t.Errorf("code %v, want %v: %v", got, code, err)
	}
	if got := fault.Detail(err).GetReason(); got != reason {
		t.Errorf("reason %v, want %v: %v", got, reason, err)
	}
	if got := sdk.OutcomeOf(err); got != outcome {
		t.Errorf("outcome %v, want %v: %v", got, outcome, err)
	}
}
