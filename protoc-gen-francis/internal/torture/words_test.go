package torture

import (
	"context"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/digits/v1/digitsv1francis"
	sharedv1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/shared/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/words/v1/wordsv1francis"
)

// The actors of this file answer each method with its Go name.

var wordActors = map[protoreflect.FullName]func(*testing.T){
	"torture.words.v1.Keywords": func(t *testing.T) {
		caller := serve(t, wordsv1francis.RegisterKeywords, wordsv1francis.Keywords(keywords{}))
		wantNames(t, wordsv1francis.NewKeywordsProxy(caller, "id"))
	},
	"torture.words.v1.Predeclared": func(t *testing.T) {
		caller := serve(t, wordsv1francis.RegisterPredeclared, wordsv1francis.Predeclared(predeclared{}))
		wantNames(t, wordsv1francis.NewPredeclaredProxy(caller, "id"))
	},
	"torture.words.v1.OurNames": func(t *testing.T) {
		caller := serve(t, wordsv1francis.RegisterOurNames, wordsv1francis.OurNames(ourNames{}))
		wantNames(t, wordsv1francis.NewOurNamesProxy(caller, "id"))
	},
	"torture.words.v1.type": func(t *testing.T) {
		caller := serve(t, wordsv1francis.RegisterType, wordsv1francis.Type(typ{}))
		wantNames(t, wordsv1francis.NewTypeProxy(caller, "id"))
	},
	"torture.words.v1.string": func(t *testing.T) {
		caller := serve(t, wordsv1francis.RegisterString, wordsv1francis.String(str{}))
		wantNames(t, wordsv1francis.NewStringProxy(caller, "id"))
	},
	"torture.words.v1.Context": func(t *testing.T) {
		caller := serve(t, wordsv1francis.RegisterContext, wordsv1francis.Context(contextual{}))
		wantNames(t, wordsv1francis.NewContextProxy(caller, "id"))
	},
	"torture.digits.v1.snake_case_2_actor": func(t *testing.T) {
		caller := serve(t, digitsv1francis.RegisterSnakeCase_2Actor, digitsv1francis.SnakeCase_2Actor(snakeCase{}))
		wantNames(t, digitsv1francis.NewSnakeCase_2ActorProxy(caller, "id"))
	},
	"torture.digits.v1._3Actor": func(t *testing.T) {
		caller := serve(t, digitsv1francis.RegisterX3Actor, digitsv1francis.X3Actor(three{}))
		wantNames(t, digitsv1francis.NewX3ActorProxy(caller, "id"))
	},
}

// wantNames calls every method of a proxy and wants its Go name as the reply.
func wantNames(t *testing.T, proxy any) {
	t.Helper()
	r := callEvery(t, proxy)
	for _, method := range r.names() {
		r.want(t, method, &sharedv1.Word{}, &sharedv1.Word{Text: method})
	}
}

func word(text string) (out, error) { return &sharedv1.Word{Text: text}, nil }

// Short names, so that each stub is a line.
type (
	ctx = context.Context
	in  = *sharedv1.Word
	out = *sharedv1.Word

	keywordsTurn    = wordsv1francis.KeywordsTurn
	predeclaredTurn = wordsv1francis.PredeclaredTurn
	ourNamesTurn    = wordsv1francis.OurNamesTurn
	typTurn         = wordsv1francis.TypeTurn
	strView         = wordsv1francis.StringView
	contextualTurn  = wordsv1francis.ContextTurn
	snakeCaseTurn   = digitsv1francis.SnakeCase_2ActorTurn
	threeTurn       = digitsv1francis.X3ActorTurn
)

type keywords struct{}

func (keywords) Break(ctx, keywordsTurn, in) (out, error)       { return word("Break") }
func (keywords) Case(ctx, keywordsTurn, in) (out, error)        { return word("Case") }
func (keywords) Chan(ctx, keywordsTurn, in) (out, error)        { return word("Chan") }
func (keywords) Const(ctx, keywordsTurn, in) (out, error)       { return word("Const") }
func (keywords) Continue(ctx, keywordsTurn, in) (out, error)    { return word("Continue") }
func (keywords) Default(ctx, keywordsTurn, in) (out, error)     { return word("Default") }
func (keywords) Defer(ctx, keywordsTurn, in) (out, error)       { return word("Defer") }
func (keywords) Else(ctx, keywordsTurn, in) (out, error)        { return word("Else") }
func (keywords) Fallthrough(ctx, keywordsTurn, in) (out, error) { return word("Fallthrough") }
func (keywords) For(ctx, keywordsTurn, in) (out, error)         { return word("For") }
func (keywords) Func(ctx, keywordsTurn, in) (out, error)        { return word("Func") }
func (keywords) Go(ctx, keywordsTurn, in) (out, error)          { return word("Go") }
func (keywords) Goto(ctx, keywordsTurn, in) (out, error)        { return word("Goto") }
func (keywords) If(ctx, keywordsTurn, in) (out, error)          { return word("If") }
func (keywords) Import(ctx, keywordsTurn, in) (out, error)      { return word("Import") }
func (keywords) Interface(ctx, keywordsTurn, in) (out, error)   { return word("Interface") }
func (keywords) Map(ctx, keywordsTurn, in) (out, error)         { return word("Map") }
func (keywords) Package(ctx, keywordsTurn, in) (out, error)     { return word("Package") }
func (keywords) Range(ctx, keywordsTurn, in) (out, error)       { return word("Range") }
func (keywords) Return(ctx, keywordsTurn, in) (out, error)      { return word("Return") }
func (keywords) Select(ctx, keywordsTurn, in) (out, error)      { return word("Select") }
func (keywords) Struct(ctx, keywordsTurn, in) (out, error)      { return word("Struct") }
func (keywords) Switch(ctx, keywordsTurn, in) (out, error)      { return word("Switch") }
func (keywords) Type(ctx, keywordsTurn, in) (out, error)        { return word("Type") }
func (keywords) Var(ctx, keywordsTurn, in) (out, error)         { return word("Var") }

type predeclared struct{}

func (predeclared) Any(ctx, predeclaredTurn, in) (out, error)     { return word("Any") }
func (predeclared) Append(ctx, predeclaredTurn, in) (out, error)  { return word("Append") }
func (predeclared) Bool(ctx, predeclaredTurn, in) (out, error)    { return word("Bool") }
func (predeclared) Byte(ctx, predeclaredTurn, in) (out, error)    { return word("Byte") }
func (predeclared) Cap(ctx, predeclaredTurn, in) (out, error)     { return word("Cap") }
func (predeclared) Clear(ctx, predeclaredTurn, in) (out, error)   { return word("Clear") }
func (predeclared) Close(ctx, predeclaredTurn, in) (out, error)   { return word("Close") }
func (predeclared) Complex(ctx, predeclaredTurn, in) (out, error) { return word("Complex") }
func (predeclared) Copy(ctx, predeclaredTurn, in) (out, error)    { return word("Copy") }
func (predeclared) Delete(ctx, predeclaredTurn, in) (out, error)  { return word("Delete") }
func (predeclared) Error(ctx, predeclaredTurn, in) (out, error)   { return word("Error") }
func (predeclared) False(ctx, predeclaredTurn, in) (out, error)   { return word("False") }
func (predeclared) Imag(ctx, predeclaredTurn, in) (out, error)    { return word("Imag") }
func (predeclared) Init(ctx, predeclaredTurn, in) (out, error)    { return word("Init") }
func (predeclared) Int(ctx, predeclaredTurn, in) (out, error)     { return word("Int") }
func (predeclared) Iota(ctx, predeclaredTurn, in) (out, error)    { return word("Iota") }
func (predeclared) Len(ctx, predeclaredTurn, in) (out, error)     { return word("Len") }
func (predeclared) Main(ctx, predeclaredTurn, in) (out, error)    { return word("Main") }
func (predeclared) Make(ctx, predeclaredTurn, in) (out, error)    { return word("Make") }
func (predeclared) Max(ctx, predeclaredTurn, in) (out, error)     { return word("Max") }
func (predeclared) Min(ctx, predeclaredTurn, in) (out, error)     { return word("Min") }
func (predeclared) New(ctx, predeclaredTurn, in) (out, error)     { return word("New") }
func (predeclared) Nil(ctx, predeclaredTurn, in) (out, error)     { return word("Nil") }
func (predeclared) Panic(ctx, predeclaredTurn, in) (out, error)   { return word("Panic") }
func (predeclared) Print(ctx, predeclaredTurn, in) (out, error)   { return word("Print") }
func (predeclared) Println(ctx, predeclaredTurn, in) (out, error) { return word("Println") }
func (predeclared) Real(ctx, predeclaredTurn, in) (out, error)    { return word("Real") }
func (predeclared) Recover(ctx, predeclaredTurn, in) (out, error) { return word("Recover") }
func (predeclared) Rune(ctx, predeclaredTurn, in) (out, error)    { return word("Rune") }
func (predeclared) String(ctx, predeclaredTurn, in) (out, error)  { return word("String") }
func (predeclared) True(ctx, predeclaredTurn, in) (out, error)    { return word("True") }
func (predeclared) Uint(ctx, predeclaredTurn, in) (out, error)    { return word("Uint") }
func (predeclared) Uintptr(ctx, predeclaredTurn, in) (out, error) { return word("Uintptr") }

type ourNames struct{}

func (ourNames) State(ctx, ourNamesTurn, in) (out, error)       { return word("State") }
func (ourNames) Type(ctx, ourNamesTurn, in) (out, error)        { return word("Type") }
func (ourNames) ID(ctx, ourNamesTurn, in) (out, error)          { return word("ID") }
func (ourNames) Context(ctx, ourNamesTurn, in) (out, error)     { return word("Context") }
func (ourNames) Import(ctx, ourNamesTurn, in) (out, error)      { return word("Import") }
func (ourNames) String(ctx, ourNamesTurn, in) (out, error)      { return word("String") }
func (ourNames) Self(ctx, ourNamesTurn, in) (out, error)        { return word("Self") }
func (ourNames) Enqueue(ctx, ourNamesTurn, in) (out, error)     { return word("Enqueue") }
func (ourNames) Schedule(ctx, ourNamesTurn, in) (out, error)    { return word("Schedule") }
func (ourNames) Foo(ctx, ourNamesTurn, in) (out, error)         { return word("Foo") }
func (ourNames) EnqueueFoo(ctx, ourNamesTurn, in) (out, error)  { return word("EnqueueFoo") }
func (ourNames) ScheduleFoo(ctx, ourNamesTurn, in) (out, error) { return word("ScheduleFoo") }
func (ourNames) Turn(ctx, ourNamesTurn, in) (out, error)        { return word("Turn") }
func (ourNames) View(ctx, ourNamesTurn, in) (out, error)        { return word("View") }
func (ourNames) Version(ctx, ourNamesTurn, in) (out, error)     { return word("Version") }
func (ourNames) Log(ctx, ourNamesTurn, in) (out, error)         { return word("Log") }
func (ourNames) Metadata(ctx, ourNamesTurn, in) (out, error)    { return word("Metadata") }
func (ourNames) Caller(ctx, ourNamesTurn, in) (out, error)      { return word("Caller") }
func (ourNames) Actor(ctx, ourNamesTurn, in) (out, error)       { return word("Actor") }
func (ourNames) Proxy(ctx, ourNamesTurn, in) (out, error)       { return word("Proxy") }
func (ourNames) Register(ctx, ourNamesTurn, in) (out, error)    { return word("Register") }
func (ourNames) Activation(ctx, ourNamesTurn, in) (out, error)  { return word("Activation") }
func (ourNames) Error(ctx, ourNamesTurn, in) (out, error)       { return word("Error") }
func (ourNames) Sdk(ctx, ourNamesTurn, in) (out, error)         { return word("Sdk") }
func (ourNames) Ctx(ctx, ourNamesTurn, in) (out, error)         { return word("Ctx") }
func (ourNames) Req(ctx, ourNamesTurn, in) (out, error)         { return word("Req") }
func (ourNames) Opts(ctx, ourNamesTurn, in) (out, error)        { return word("Opts") }
func (ourNames) P(ctx, ourNamesTurn, in) (out, error)           { return word("P") }
func (ourNames) GoString(ctx, ourNamesTurn, in) (out, error)    { return word("GoString") }

type typ struct{}

func (typ) Func(ctx, typTurn, in) (out, error) { return word("Func") }

type str struct{}

func (str) Error(ctx, strView, in) (out, error) { return word("Error") }

type contextual struct{}

func (contextual) Context(ctx, contextualTurn, in) (out, error) { return word("Context") }

type snakeCase struct{}

func (snakeCase) GetValue_2(ctx, snakeCaseTurn, in) (out, error)  { return word("GetValue_2") }
func (snakeCase) Get3D(ctx, snakeCaseTurn, in) (out, error)       { return word("Get3D") }
func (snakeCase) X(ctx, snakeCaseTurn, in) (out, error)           { return word("X") }
func (snakeCase) HTTPGet(ctx, snakeCaseTurn, in) (out, error)     { return word("HTTPGet") }
func (snakeCase) A1B2(ctx, snakeCaseTurn, in) (out, error)        { return word("A1B2") }
func (snakeCase) Foo_Bar(ctx, snakeCaseTurn, in) (out, error)     { return word("Foo_Bar") }
func (snakeCase) Trailing_(ctx, snakeCaseTurn, in) (out, error)   { return word("Trailing_") }
func (snakeCase) Under_Score(ctx, snakeCaseTurn, in) (out, error) { return word("Under_Score") }
func (snakeCase) XPrivate(ctx, snakeCaseTurn, in) (out, error)    { return word("XPrivate") }
func (snakeCase) ALL_CAPS(ctx, snakeCaseTurn, in) (out, error)    { return word("ALL_CAPS") }

type three struct{}

func (three) X4(ctx, threeTurn, in) (out, error) { return word("X4") }
