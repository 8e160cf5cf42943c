package torture

import (
	"context"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	francisv1 "github.com/francis-actors/francis/gen/francis/v1"
	"github.com/francis-actors/francis/internal/core/contract"
	"github.com/francis-actors/francis/sdk"
	"github.com/francis-actors/francis/sdk/francistest"
)

// actors are the tests of the corpus, by the full name of the service.
func actors() map[protoreflect.FullName]func(*testing.T) {
	all := maps.Clone(wordActors)
	maps.Copy(all, messageActors)
	return all
}

func TestActors(t *testing.T) {
	t.Parallel()
	for name, test := range actors() {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// TestCorpusIsComplete holds that no actor of the corpus is left out.
func TestCorpusIsComplete(t *testing.T) {
	t.Parallel()
	var want []protoreflect.FullName
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			if service := file.Services().Get(i); proto.HasExtension(service.Options(), francisv1.E_Actor) {
				want = append(want, service.FullName())
			}
		}
		return true
	})
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(actors())); !slices.Equal(got, want) {
		t.Errorf("the corpus has the actors\n%v, and tested are\n%v", want, got)
	}
}

// TestVet runs go vet over the packages of the corpus, which ./... does not reach.
// What it says of the actor in vetted is the plugin's warning, and tested there.
func TestVet(t *testing.T) {
	t.Parallel()
	packages := make(map[string]bool)
	err := filepath.WalkDir("../../testdata/torture", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".go") && !strings.Contains(path, "vetted") {
			packages["./"+filepath.ToSlash(filepath.Dir(path))] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// A flag of its own keeps the run apart in the build cache: what was vetted as a
	// dependency of another package is not reported again (Go 1.26).
	vet := exec.Command("go", append([]string{"vet", "-printf.funcs=torture"}, slices.Sorted(maps.Keys(packages))...)...)
	if out, err := vet.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}

// serve registers one actor with a host of its own and returns the caller. A is
// the generated interface, S the generated activation.
func serve[A, S any](t *testing.T, register func(sdk.Registrar, func(context.Context, *S) (A, error), ...sdk.ActorOption) error, actor A) sdk.Caller {
	t.Helper()
	host := francistest.Start(t)
	if err := register(host, func(context.Context, *S) (A, error) { return actor, nil }); err != nil {
		t.Fatal(err)
	}
	return host.Service()
}

// rpcs calls the methods of a proxy by name, and knows which were called.
type rpcs struct {
	proxy  reflect.Value
	called map[string]bool
}

// callEvery returns the methods of a proxy. The test fails if it ends before each
// was called.
func callEvery(t *testing.T, proxy any) rpcs {
	t.Helper()
	r := rpcs{reflect.ValueOf(proxy), make(map[string]bool)}
	t.Cleanup(func() {
		if got := slices.Sorted(maps.Keys(r.called)); !slices.Equal(got, r.names()) {
			t.Errorf("%T has the methods %v, and called were %v", proxy, r.names(), got)
		}
		r.wantLater(t)
	})
	return r
}

// wantLater enqueues and schedules every method that is no view, and wants each to be
// stored under its name in the contract.
func (r rpcs) wantLater(t *testing.T) {
	t.Helper()
	embedded := r.proxy.Field(0)
	later := embedded.Field(0).Interface().(sdk.Later)
	want := turns(t)
	for kind, names := range map[string][]string{
		"Enqueue":  methodsWith[sdk.EnqueueOption](embedded.Type()),
		"Schedule": methodsWith[sdk.ScheduleOption](embedded.Type()),
	} {
		var got []string
		for _, name := range names {
			if _, ok := strings.CutPrefix(name, kind); !ok {
				t.Errorf("%v has the method %s", embedded.Type(), name)
			}
			task, err := callLater(later, embedded.MethodByName(name))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got = append(got, task.Procedure)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s… of %v calls %v, want %v", kind, embedded.Type(), got, want)
		}
	}
}

// turns are the methods that are no views, of the actor that the test is named after.
func turns(t *testing.T) []string {
	t.Helper()
	_, service, _ := strings.Cut(t.Name(), "/")
	desc, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		t.Fatal(err)
	}
	read, _ := contract.Read(desc.(protoreflect.ServiceDescriptor))
	var procedures []string
	for _, method := range read.Methods {
		if !method.View {
			procedures = append(procedures, method.Procedure)
		}
	}
	slices.Sort(procedures)
	return procedures
}

// callLater calls an Enqueue or Schedule method with an empty request, for a time that does
// not come, and returns what is stored then.
func callLater(later sdk.Later, method reflect.Value) (sdk.Task, error) {
	ctx, typ, hour := context.Background(), method.Type(), time.Hour
	request := func(i int) reflect.Value { return reflect.New(typ.In(i).Elem()) }
	if typ.NumOut() == 1 { // (ctx, name, when, req, opts...) error
		out := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf("alarm"), reflect.ValueOf(sdk.After(hour)), request(3)})
		if err, failed := reflect.TypeAssert[error](out[0]); failed {
			return sdk.Task{}, err
		}
		return later.Alarm(ctx, "alarm")
	}
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), request(1), reflect.ValueOf(sdk.WithDelay(hour))})
	if err, failed := reflect.TypeAssert[error](out[1]); failed {
		return sdk.Task{}, err
	}
	return later.Job(ctx, out[0].Interface().(sdk.JobID))
}

func (r rpcs) names() []string { return methodsWith[sdk.CallOption](r.proxy.Type()) }

// methodsWith are the methods of a type that take options of one kind: those of a proxy
// that call, enqueue or schedule.
func methodsWith[Option any](typ reflect.Type) []string {
	var names []string
	for method := range typ.Methods() {
		if method.Type.IsVariadic() && method.Type.In(method.Type.NumIn()-1) == reflect.TypeFor[[]Option]() {
			names = append(names, method.Name)
		}
	}
	return names
}

func (r rpcs) try(t *testing.T, method string, req proto.Message) (proto.Message, error) {
	t.Helper()
	r.called[method] = true
	out := r.proxy.MethodByName(method).Call([]reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(req)})
	err, _ := reflect.TypeAssert[error](out[1])
	return out[0].Interface().(proto.Message), err
}

// want calls a method and compares the reply.
func (r rpcs) want(t *testing.T, method string, req, want proto.Message) {
	t.Helper()
	got, err := r.try(t, method, req)
	if err != nil {
		t.Errorf("%s: %v", method, err)
		return
	}
	if !proto.Equal(got, want) {
		t.Errorf("%s answered %v instead of %v", method, got, want)
	}
}

// wantUnimplemented calls every method of an actor that only embeds the generated
// Unimplemented type.
func wantUnimplemented(t *testing.T, proxy any) {
	t.Helper()
	r := callEvery(t, proxy)
	for _, method := range r.names() {
		request := r.proxy.MethodByName(method).Type().In(1)
		_, err := r.try(t, method, reflect.New(request.Elem()).Interface().(proto.Message))
		if connect.CodeOf(err) != connect.CodeUnimplemented {
			t.Errorf("%s answered %v instead of unimplemented", method, err)
		}
	}
}

// refused calls a method and wants its request to be refused.
func (r rpcs) refused(t *testing.T, method string, req proto.Message) {
	t.Helper()
	if _, err := r.try(t, method, req); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("%s answered %v instead of invalid_argument", method, err)
	}
}

// none wants a proxy without methods.
func (r rpcs) none(t *testing.T) {
	t.Helper()
	if len(r.names()) > 0 {
		t.Errorf("the proxy has the methods %v", r.names())
	}
}
