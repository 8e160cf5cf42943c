package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// badContract is one faulty file, a.proto in a folder and package by its name,
// and what the plugin says about it: per problem one line, without the folder.
type badContract struct {
	name      string
	syntax    string            // default: syntax = "proto3"
	body      string            // starts on line 2 of the file
	more      map[string]string // bodies of further files
	parameter string            // of the plugin
	want      []string
}

// ping is what the contracts below send, on the first line.
const ping = `message Ping { string text = 1; }`

var badStates = []badContract{
	{
		name: "state_unknown",
		body: ping + `
			service Cart {
			  option (francis.v1.actor) = {state: "CartState"};
			}`,
		want: []string{`a.proto:4:32: the state "CartState" is no message of the files in this run (looked for state_unknown.CartState, CartState); correct the name, or let buf pass all files with strategy: all`},
	},
	{
		name: "state_unknown_full",
		body: `service Cart {
			  option (francis.v1.actor).state = ".state_unknown_full.x.CartState";
			}`,
		want: []string{`a.proto:3:3: the state ".state_unknown_full.x.CartState" is no message of the files in this run (looked for state_unknown_full.x.CartState); correct the name, or let buf pass all files with strategy: all`},
	},
	{
		name: "state_ambiguous",
		body: `service Cart {
			  option (francis.v1.actor) = {state: "AmbiguousState"};
			}
			message AmbiguousState {}`,
		more: map[string]string{"root.proto": `syntax = "proto3"; option go_package = "example.com/root"; message AmbiguousState {}`},
		want: []string{`a.proto:3:32: the state "AmbiguousState" may be state_ambiguous.AmbiguousState or AmbiguousState; write the full name with a leading dot: state: ".state_ambiguous.AmbiguousState"`},
	},
	{
		name: "state_enum",
		body: `service Cart {
			  option (francis.v1.actor) = {state: "Color"};
			}
			enum Color { COLOR_UNSPECIFIED = 0; }`,
		want: []string{`a.proto:3:32: the state "Color" is an enum, not a message; name the message that holds the state`},
	},
	{
		name: "state_nested_enum",
		body: `service Cart {
			  option (francis.v1.actor) = {state: "Paint.Color"};
			}
			message Paint { enum Color { COLOR_UNSPECIFIED = 0; } }`,
		want: []string{`a.proto:3:32: the state "Paint.Color" is an enum, not a message; name the message that holds the state`},
	},
	{
		name: "state_map_entry",
		body: `service Cart {
			  option (francis.v1.actor) = {state: "Cart2.ItemsEntry"};
			}
			message Cart2 { map<string, int32> items = 1; }`,
		want: []string{`a.proto:3:32: the state "Cart2.ItemsEntry" is the entry of a map, not a message; name the message that holds the state`},
	},
	{
		name: "state_service",
		body: `service Cart {
			  option (francis.v1.actor) = {state: "Cart"};
			}`,
		want: []string{`a.proto:3:32: the state "Cart" is a service, not a message; name the message that holds the state`},
	},
	{
		name: "state_empty",
		body: `service Cart {
			  option (francis.v1.actor) = {state: ""};
			}`,
		want: []string{`a.proto:3:32: the state is empty; name the message that holds it, or remove state for an actor without state`},
	},
}

var badTypes = []badContract{
	{
		name: "type_duplicate",
		body: `service Cart { option (francis.v1.actor) = {type: "cart"}; }
			service Basket {
			  option (francis.v1.actor) = {type: "cart"};
			}`,
		want: []string{`a.proto:4:32: the actor type "cart" is already that of the service Cart in type_duplicate/a.proto; choose another type`},
	},
	{
		name: "type_duplicate_files",
		body: `service Cart { option (francis.v1.actor) = {}; }`,
		more: map[string]string{"b.proto": `service Basket {
			  option (francis.v1.actor) = {type: "type_duplicate_files.Cart"};
			}`},
		want: []string{`b.proto:3:32: the actor type "type_duplicate_files.Cart" is already that of the service Cart in type_duplicate_files/a.proto; choose another type`},
	},
	{
		name: "type_slash",
		body: `service Cart { option (francis.v1.actor) = {type: "shop/cart"}; }`,
		want: []string{`a.proto:2:45: the actor type "shop/cart" has the character '/'; letters, digits, '.', '_', '~' and '-' are allowed; write for example type: "shop-cart"`},
	},
	{
		name: "type_space",
		body: `service Cart { option (francis.v1.actor).type = " Ж "; }`,
		want: []string{`a.proto:2:16: the actor type " Ж " has the character ' '; letters, digits, '.', '_', '~' and '-' are allowed; write for example type: "cart"`},
	},
	{
		name: "type_empty",
		body: `service Cart { option (francis.v1.actor) = {type: ""}; }`,
		want: []string{`a.proto:2:45: the actor type is empty; write for example type: "cart"`},
	},
	{
		name: "type_dots",
		body: `service Cart { option (francis.v1.actor) = {type: ".."}; }`,
		want: []string{`a.proto:2:45: the actor type ".." is no valid path segment; write for example type: "cart"`},
	},
	{
		name: "type_long",
		body: `service Cart { option (francis.v1.actor) = {type: "` + strings.Repeat("x", 129) + `"}; }`,
		want: []string{`a.proto:2:45: the actor type has 129 bytes; at most 128 are allowed; write for example type: "cart"`},
	},
	{
		name: "type_long_default",
		body: `service ` + strings.Repeat("S", 120) + ` { option (francis.v1.actor) = {}; }`,
		want: []string{`a.proto:2:139: the actor type has 138 bytes; at most 128 are allowed; write for example type: "` + strings.Repeat("s", 120) + `"`},
	},
}

var badIDs = []badContract{
	{
		name: "id_kinds",
		body: `enum Color { COLOR_UNSPECIFIED = 0; }
			message Sub {}
			message A { repeated string ids = 1 [(francis.v1.actor_id) = true]; }
			message B { map<string, string> ids = 1 [(francis.v1.actor_id) = true]; }
			message C { oneof which { string id = 1 [(francis.v1.actor_id) = true]; } }
			message D { Sub id = 1 [(francis.v1.actor_id) = true]; }
			message E { bool id = 1 [(francis.v1.actor_id) = true]; }
			message F { bytes id = 1 [(francis.v1.actor_id) = true]; }
			message G { Color id = 1 [(francis.v1.actor_id) = true]; }
			message H { float id = 1 [(francis.v1.actor_id) = true]; }
			message I { double id = 1 [(francis.v1.actor_id) = true]; }
			message J { message K { repeated int64 ids = 1 [deprecated = true, (francis.v1.actor_id) = true]; } }
			message L { optional string id = 1 [(francis.v1.actor_id) = true]; }
			message M { repeated string ids = 1 [(francis.v1.actor_id) = false]; }`,
		want: []string{
			`a.proto:4:38: ids cannot carry an actor id because it is repeated; use a singular string or integer field outside a oneof`,
			`a.proto:5:42: ids cannot carry an actor id because it is a map; use a singular string or integer field outside a oneof`,
			`a.proto:6:42: id cannot carry an actor id because it is in a oneof; use a singular string or integer field outside a oneof`,
			`a.proto:7:25: id cannot carry an actor id because it is a message; use a singular string or integer field outside a oneof`,
			`a.proto:8:26: id cannot carry an actor id because it is of type bool; use a singular string or integer field outside a oneof`,
			`a.proto:9:27: id cannot carry an actor id because it is of type bytes; use a singular string or integer field outside a oneof`,
			`a.proto:10:27: id cannot carry an actor id because it is an enum; use a singular string or integer field outside a oneof`,
			`a.proto:11:27: id cannot carry an actor id because it is a floating-point number; use a singular string or integer field outside a oneof`,
			`a.proto:12:28: id cannot carry an actor id because it is a floating-point number; use a singular string or integer field outside a oneof`,
			`a.proto:13:68: ids cannot carry an actor id because it is repeated; use a singular string or integer field outside a oneof`,
		},
	},
	{
		name:   "id_proto2",
		syntax: `syntax = "proto2"`,
		body: `message A {
			  optional group Id = 1 [(francis.v1.actor_id) = true] {}
			  extensions 100 to 200;
			}
			extend A { optional string id = 100 [(francis.v1.actor_id) = true]; }
			message B { extend A { optional string id = 101 [(francis.v1.actor_id) = true]; } }`,
		want: []string{
			`a.proto:3:26: id cannot carry an actor id because it is a group; use a singular string or integer field outside a oneof`,
			`a.proto:6:38: id cannot carry an actor id because it is an extension; use a singular string or integer field outside a oneof`,
			`a.proto:7:50: id cannot carry an actor id because it is an extension; use a singular string or integer field outside a oneof`,
		},
	},
	{
		name: "id_two",
		body: `message Ping {
			  string cart = 1 [(francis.v1.actor_id) = true];
			  int32 number = 2 [(francis.v1.actor_id) = true];
			}
			service Cart { option (francis.v1.actor) = {}; rpc Do(Ping) returns (Ping); rpc Undo(Ping) returns (Ping); }`,
		want: []string{`a.proto:4:21: Ping carries the actor id already in cart; remove (francis.v1.actor_id) from one of the two`},
	},
}

var badMethods = []badContract{
	{
		name: "method_of_no_actor",
		body: ping + `
			service Plain {
			  rpc Do(Ping) returns (Ping) { option (francis.v1.method).internal = true; }
			  rpc Watch(Ping) returns (stream Ping);
			}`,
		want: []string{`a.proto:4:33: Do has the option (francis.v1.method), but Plain is no actor; add the option (francis.v1.actor) to the service or remove this one`},
	},
	{
		name: "streaming",
		body: ping + `
			service Cart {
			  option (francis.v1.actor) = {};
			  rpc Up(stream Ping) returns (Ping);
			  rpc Down(Ping) returns (stream Ping);
			  rpc Both(stream Ping) returns (stream Ping);
			}`,
		want: []string{
			`a.proto:5:3: Up is streaming, and the methods of an actor are unary; remove stream from the rpc or move it to a service that is no actor`,
			`a.proto:6:3: Down is streaming, and the methods of an actor are unary; remove stream from the rpc or move it to a service that is no actor`,
			`a.proto:7:3: Both is streaming, and the methods of an actor are unary; remove stream from the rpc or move it to a service that is no actor`,
		},
	},
	{
		name: "durations",
		body: ping + `
			service A { option (francis.v1.actor) = {idle_timeout: {seconds: -5}}; }
			service B { option (francis.v1.actor) = {idle_timeout: {}}; }
			service C { option (francis.v1.actor) = {idle_timeout: {seconds: 31536001}}; }
			service D { option (francis.v1.actor) = {timeout: {seconds: 1 nanos: -1}}; }
			service E { option (francis.v1.actor) = {timeout: {nanos: 1000000000}}; }
			service F { option (francis.v1.actor) = {timeout: {nanos: 999999}}; }
			service G { option (francis.v1.actor) = {timeout: {seconds: 9223372036854775807}}; }
			service H {
			  option (francis.v1.actor) = {};
			  rpc Do(Ping) returns (Ping) { option (francis.v1.method).timeout = {seconds: 86401}; }
			}`,
		want: []string{
			`a.proto:3:57: idle_timeout is -5s; it must be between 1ms and 8760h0m0s`,
			`a.proto:4:20: idle_timeout is 0s; it must be between 1ms and 8760h0m0s`,
			`a.proto:5:57: idle_timeout is 8760h0m1s; it must be between 1ms and 8760h0m0s`,
			`a.proto:6:52: timeout is {seconds: 1 nanos: -1}, which is no valid duration; give both the same sign and nanos below 1000000000`,
			`a.proto:7:52: timeout is {seconds: 0 nanos: 1000000000}, which is no valid duration; give both the same sign and nanos below 1000000000`,
			`a.proto:8:52: timeout is 999.999µs; it must be between 1ms and 24h0m0s`,
			`a.proto:9:52: timeout is 2562047h47m16.854775807s; it must be between 1ms and 24h0m0s`,
			`a.proto:12:40: timeout is 24h0m1s; it must be between 1ms and 24h0m0s`,
		},
	},
	{
		name: "state_ttl",
		body: ping + `
			service A { option (francis.v1.actor) = {state: "Ping" state_ttl: {nanos: 999999999}}; }
			service B { option (francis.v1.actor) = {state: "Ping" state_ttl: {seconds: 315360001}}; }
			service C { option (francis.v1.actor) = {state: "Ping" state_ttl: {seconds: 1 nanos: -1}}; }
			service D { option (francis.v1.actor) = {state_ttl: {seconds: 60}}; }`,
		want: []string{
			`a.proto:3:68: state_ttl is 999.999999ms; it must be between 1s and 87600h0m0s`,
			`a.proto:4:68: state_ttl is 87600h0m1s; it must be between 1s and 87600h0m0s`,
			`a.proto:5:68: state_ttl is {seconds: 1 nanos: -1}, which is no valid duration; give both the same sign and nanos below 1000000000`,
			`a.proto:6:54: state_ttl is set, but the actor has no state; name the message that holds it with state, or remove state_ttl`,
		},
	},
	{
		name: "max_pending",
		body: `service A { option (francis.v1.actor) = {max_pending: 0}; }
			service B { option (francis.v1.actor) = {max_pending: 1000001}; }`,
		want: []string{
			`a.proto:2:42: max_pending is 0; it must be between 1 and 1000000`,
			`a.proto:3:42: max_pending is 1000001; it must be between 1 and 1000000`,
		},
	},
}

var badRetries = []badContract{
	{
		name: "retry",
		body: ping + `
			service A { option (francis.v1.actor) = {retry: {max_attempts: 0}}; }
			service B { option (francis.v1.actor) = {retry: {max_attempts: 1001}}; }
			service C { option (francis.v1.actor) = {retry: {initial_backoff: {}}}; }
			service D { option (francis.v1.actor) = {retry: {initial_backoff: {seconds: 1 nanos: -1}}}; }
			service E { option (francis.v1.actor) = {retry: {max_backoff: {seconds: 86401}}}; }
			service F { option (francis.v1.actor) = {retry: {multiplier: 0.5}}; }
			service G { option (francis.v1.actor) = {retry: {multiplier: nan}}; }
			service H { option (francis.v1.actor) = {retry: {initial_backoff: {seconds: 600}}}; }
			service I {
			  option (francis.v1.actor) = {retry: {max_backoff: {seconds: 2}}};
			  rpc Do(Ping) returns (Ping) { option (francis.v1.method).retry = {initial_backoff: {seconds: 3}}; }
			  rpc Get(Ping) returns (Ping) {
			    option idempotency_level = NO_SIDE_EFFECTS;
			    option (francis.v1.method).retry.max_attempts = 2;
			  }
			}`,
		want: []string{
			`a.proto:3:50: max_attempts is 0; it must be between 1 and 1000`,
			`a.proto:4:50: max_attempts is 1001; it must be between 1 and 1000`,
			`a.proto:5:20: initial_backoff is 0s; it must be between 1ms and 24h0m0s`,
			`a.proto:6:68: initial_backoff is {seconds: 1 nanos: -1}, which is no valid duration; give both the same sign and nanos below 1000000000`,
			`a.proto:7:64: max_backoff is 24h0m1s; it must be between 1ms and 24h0m0s`,
			`a.proto:8:50: multiplier is 0.5; it must be between 1 and 100`,
			`a.proto:9:50: multiplier is NaN; it must be between 1 and 100`,
			`a.proto:10:68: initial_backoff is 10m0s, which is longer than max_backoff, 5m0s; raise max_backoff or lower initial_backoff`,
			`a.proto:13:40: initial_backoff is 3s, which is longer than max_backoff, 2s; raise max_backoff or lower initial_backoff`,
			`a.proto:16:5: Get is a view, which no alarm or job calls; remove retry`,
		},
	},
	{
		name: "dead_letter_method",
		body: `import "francis/v1/tasks.proto";
			` + ping + `
			service A { option (francis.v1.actor) = {dead_letter_method: "GivenUp"}; }
			service B { option (francis.v1.actor) = {dead_letter_method: ""}; }
			service C {
			  option (francis.v1.actor) = {dead_letter_method: "Do"};
			  rpc Do(Ping) returns (Ping);
			}
			service D {
			  option (francis.v1.actor) = {dead_letter_method: "Look"};
			  rpc Look(francis.v1.DeadLetter) returns (Ping) { option idempotency_level = NO_SIDE_EFFECTS; }
			}
			service E {
			  option (francis.v1.actor) = {dead_letter_method: "givenUp"};
			  rpc GivenUp(francis.v1.DeadLetter) returns (Ping);
			}`,
		want: []string{
			`a.proto:4:42: dead_letter_method is "GivenUp", but A has no such method; name an rpc of it that takes francis.v1.DeadLetter`,
			`a.proto:5:42: dead_letter_method is "", but B has no such method; name an rpc of it that takes francis.v1.DeadLetter`,
			`a.proto:7:32: dead_letter_method is "Do", which takes dead_letter_method.Ping; it must take francis.v1.DeadLetter`,
			`a.proto:11:32: dead_letter_method is "Look", which is a view; remove its idempotency_level, or name a method that is no view`,
			`a.proto:15:32: dead_letter_method is "givenUp", but E has no such method; name an rpc of it that takes francis.v1.DeadLetter`,
		},
	},
}

var badNames = []badContract{
	{
		name: "name_turn",
		body: `service Foo { option (francis.v1.actor) = {}; }
			service FooTurn { option (francis.v1.actor) = {}; }
			service FooView { option (francis.v1.actor) = {}; }
			service FooLater { option (francis.v1.actor) = {}; }`,
		want: []string{
			`a.proto:3:1: the Go name FooTurn of the actor FooTurn is also generated for the actor Foo in name_turn/a.proto; rename one of the services`,
			`a.proto:4:1: the Go name FooView of the actor FooView is also generated for the actor Foo in name_turn/a.proto; rename one of the services`,
			`a.proto:5:1: the Go name FooLater of the actor FooLater is also generated for the actor Foo in name_turn/a.proto; rename one of the services`,
		},
	},
	{
		name: "name_unimplemented",
		body: `service UnimplementedFoo { option (francis.v1.actor) = {}; }`,
		more: map[string]string{"b.proto": `service Foo { option (francis.v1.actor) = {}; }`},
		want: []string{`b.proto:2:1: the Go name UnimplementedFoo of the actor Foo is also generated for the actor UnimplementedFoo in name_unimplemented/a.proto; rename one of the services`},
	},
	{
		name: "name_service_case",
		body: `service Foo { option (francis.v1.actor) = {}; }
			service foo { option (francis.v1.actor) = {}; }`,
		want: []string{`a.proto:3:1: the Go name Foo of the actor foo is also generated for the actor Foo in name_service_case/a.proto; rename one of the services`},
	},
	{
		name: "name_method",
		body: ping + `
			service Foo {
			  option (francis.v1.actor) = {};
			  rpc GetValue(Ping) returns (Ping);
			  rpc Get_value(Ping) returns (Ping);
			}`,
		want: []string{`a.proto:6:3: the methods GetValue and Get_value have the same Go name GetValue; rename one`},
	},
	{
		name: "name_method_later",
		body: ping + `
			service Foo {
			  option (francis.v1.actor) = {};
			  rpc FooLater(Ping) returns (Ping);
			  rpc Later(Ping) returns (Ping);
			  rpc Ref(Ping) returns (Ping);
			}`,
		want: []string{`a.proto:5:3: the method FooLater has the Go name FooLater, which is that of a type that the proxy of Foo embeds; rename the rpc`},
	},
	{
		name: "name_method_case",
		body: ping + `
			service Foo {
			  option (francis.v1.actor) = {};
			  rpc Get(Ping) returns (Ping);
			  rpc get(Ping) returns (Ping);
			}`,
		want: []string{`a.proto:6:3: the methods Get and get differ only in the case of the first letter, so the path /invoke/{type}/{id}/get could mean either; rename one`},
	},
	{
		name:      "name_message",
		parameter: "package_suffix=",
		body: `service Foo { option (francis.v1.actor) = {}; }
			message FooProxy {}
			enum FooKind { RegisterFoo = 0; }
			service Bar { option (francis.v1.actor) = {}; }`,
		more: map[string]string{"b.proto": `syntax = "proto3"; package name_message.b; option go_package = "example.com/name_message;name_message"; message Bar {}`},
		want: []string{
			`a.proto:2:1: the Go name FooProxy of the actor Foo is also that of name_message.FooProxy in name_message/a.proto; rename one of them, or set package_suffix to generate a package of its own`,
			`a.proto:5:1: the Go name Bar of the actor Bar is also that of name_message.b.Bar in name_message/b.proto; rename one of them, or set package_suffix to generate a package of its own`,
		},
	},
	{
		name: "name_import",
		body: `import "name_import/b.proto";
			service Cart { option (francis.v1.actor) = {}; rpc Do(Ping) returns (Ping); }`,
		more: map[string]string{"b.proto": `syntax = "proto3"; package name_import; option go_package = "example.com/Cart;cart"; message Ping {}`},
		want: []string{`a.proto:3:1: the Go package "example.com/Cart" is imported as Cart, which is also a Go name of the actor Cart; rename the service, or change the last element of that go_package`},
	},
}

func TestBadContracts(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(badStates, badTypes, badIDs, badMethods, badRetries, badNames)
	protos := t.TempDir()
	for _, c := range cases {
		for name, content := range c.files() {
			write(t, filepath.Join(protos, name), content)
		}
	}
	compiled := compile(t, workspace(t, protos))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var stderr strings.Builder
			answer, err := respond(requestFor(compiled, c.name+"/", c.parameter), &stderr)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Split(answer.GetError(), "\n"); !slices.Equal(got, c.lines()) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.lines(), "\n"))
			}
			if len(answer.GetFile()) > 0 {
				t.Errorf("%d files were generated from a bad contract", len(answer.GetFile()))
			}
			if stderr.Len() > 0 {
				t.Errorf("stderr: %s", stderr.String())
			}
		})
	}
}

// lines are what the plugin answers.
func (c badContract) lines() []string {
	lines := []string{"wrong actor contracts:"}
	for _, line := range c.want {
		lines = append(lines, c.name+"/"+line)
	}
	return lines
}

func (c badContract) files() map[string]string {
	files := map[string]string{c.name + "/a.proto": c.header() + dedent(c.body)}
	for name, body := range c.more {
		if !strings.HasPrefix(body, "syntax") {
			body = c.header() + dedent(body)
		}
		files[c.name+"/"+name] = body
	}
	return files
}

// header is the first line of a file.
func (c badContract) header() string {
	return fmt.Sprintf("%s; package %s; import \"francis/v1/options.proto\"; option go_package = \"example.com/%[2]s;%[2]s\";\n",
		cmp.Or(c.syntax, `syntax = "proto3"`), c.name)
}

// dedent takes the indentation of this Go file off, so that columns count from
// where a reader would begin.
func dedent(body string) string { return strings.ReplaceAll(body, "\n\t\t\t", "\n") }
