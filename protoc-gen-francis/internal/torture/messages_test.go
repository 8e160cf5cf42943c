package torture

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/comments/v1/commentsv1francis"
	deprecatedv1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/deprecated/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/deprecated/v1/deprecatedv1francis"
	edition2023v1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/edition2023/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/edition2023/v1/edition2023v1francis"
	edition2024v1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/edition2024/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/edition2024/v1/edition2024v1francis"
	hybrid2023v1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/hybrid2023/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/hybrid2023/v1/hybrid2023v1francis"
	hybrid2024v1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/hybrid2024/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/hybrid2024/v1/hybrid2024v1francis"
	idsv1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/ids/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/ids/v1/idsv1francis"
	inCaller "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/caller"
	inContext "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/context"
	inCtx "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/ctx"
	inCtx2 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/ctx_"
	inError "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/error"
	inFunc "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/func"
	inHost "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/host"
	inId "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/id"
	inL "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/l"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/localsfrancis"
	inName "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/name"
	inNewLocals "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/newLocals"
	inOpts "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/opts"
	inP "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/p"
	inReq "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/req"
	inSdk "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/sdk"
	inT "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/t"
	inTurn "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/turn"
	inView "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/view"
	inWhen "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/locals/when"
	nestedv1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/nested/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/nested/v1/nestedv1francis"
	nopackage "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/nopackage"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/nopackage/nopackagefrancis"
	noversion "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/noversion"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/noversion/noversionfrancis"
	opaque2023v1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/opaque2023/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/opaque2023/v1/opaque2023v1francis"
	proto2v1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/proto2/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/proto2/v1/proto2v1francis"
	samepackagev1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/samepackage/v1"
	sharedv1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/shared/v1"
	statelessv1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/stateless/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/stateless/v1/statelessv1francis"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/twoactors/v1/twoactorsv1francis"
	twofilesv1 "github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/twofiles/v1"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/twofiles/v1/twofilesv1francis"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/vetted/v1/vettedv1francis"
	"github.com/francis-actors/francis/protoc-gen-francis/testdata/torture/wellknown/v1/wellknownv1francis"
)

var messageActors = map[protoreflect.FullName]func(*testing.T){
	"torture.proto2.v1.Proto2": func(t *testing.T) {
		caller := serve(t, proto2v1francis.RegisterProto2, proto2v1francis.Proto2(proto2{}))
		r := callEvery(t, proto2v1francis.NewProto2Proxy(caller, "id"))
		r.want(t, "Do", &proto2v1.Proto2Request{Text: proto.String("a")}, &proto2v1.Proto2Reply{Text: proto.String("a")})
		r.want(t, "Do", &proto2v1.Proto2Request{Text: proto.String("b")}, &proto2v1.Proto2Reply{Text: proto.String("ab")})
		r.want(t, "Look", &proto2v1.Proto2Request{Text: proto.String("c")}, &proto2v1.Proto2Reply{Text: proto.String("ab")})
	},
	"torture.edition2023.v1.Edition2023": func(t *testing.T) {
		caller := serve(t, edition2023v1francis.RegisterEdition2023, edition2023v1francis.Edition2023(edition2023{}))
		r := callEvery(t, edition2023v1francis.NewEdition2023Proxy(caller, "id"))
		r.want(t, "Do", &edition2023v1.Edition2023Request{Text: proto.String("a")}, &edition2023v1.Edition2023Reply{Text: proto.String("a")})
		r.want(t, "Do", &edition2023v1.Edition2023Request{Text: proto.String("b")}, &edition2023v1.Edition2023Reply{Text: proto.String("ab")})
		r.want(t, "Look", &edition2023v1.Edition2023Request{Text: proto.String("c")}, &edition2023v1.Edition2023Reply{Text: proto.String("ab")})
	},
	"torture.edition2024.v1.Edition2024": func(t *testing.T) {
		caller := serve(t, edition2024v1francis.RegisterEdition2024, edition2024v1francis.Edition2024(edition2024{}))
		r := callEvery(t, edition2024v1francis.NewEdition2024Proxy(caller, "id"))
		r.want(t, "Do", edition2024v1.Edition2024Request_builder{Text: proto.String("a")}.Build(), edition2024v1.Edition2024Reply_builder{Text: proto.String("a")}.Build())
		r.want(t, "Do", edition2024v1.Edition2024Request_builder{Text: proto.String("b")}.Build(), edition2024v1.Edition2024Reply_builder{Text: proto.String("ab")}.Build())
		r.want(t, "Look", edition2024v1.Edition2024Request_builder{Text: proto.String("c")}.Build(), edition2024v1.Edition2024Reply_builder{Text: proto.String("ab")}.Build())
	},
	"torture.hybrid2023.v1.Hybrid2023": func(t *testing.T) {
		caller := serve(t, hybrid2023v1francis.RegisterHybrid2023, hybrid2023v1francis.Hybrid2023(hybrid2023{}))
		r := callEvery(t, hybrid2023v1francis.NewHybrid2023Proxy(caller, "id"))
		r.want(t, "Do", &hybrid2023v1.Hybrid2023Request{Text: proto.String("a")}, &hybrid2023v1.Hybrid2023Reply{Text: proto.String("a")})
		r.want(t, "Do", &hybrid2023v1.Hybrid2023Request{Text: proto.String("b")}, &hybrid2023v1.Hybrid2023Reply{Text: proto.String("ab")})
		r.want(t, "Look", &hybrid2023v1.Hybrid2023Request{Text: proto.String("c")}, &hybrid2023v1.Hybrid2023Reply{Text: proto.String("ab")})
	},
	"torture.hybrid2024.v1.Hybrid2024": func(t *testing.T) {
		caller := serve(t, hybrid2024v1francis.RegisterHybrid2024, hybrid2024v1francis.Hybrid2024(hybrid2024{}))
		r := callEvery(t, hybrid2024v1francis.NewHybrid2024Proxy(caller, "id"))
		r.want(t, "Do", hybrid2024v1.Hybrid2024Request_builder{Text: proto.String("a")}.Build(), hybrid2024v1.Hybrid2024Reply_builder{Text: proto.String("a")}.Build())
		r.want(t, "Do", hybrid2024v1.Hybrid2024Request_builder{Text: proto.String("b")}.Build(), hybrid2024v1.Hybrid2024Reply_builder{Text: proto.String("ab")}.Build())
		r.want(t, "Look", hybrid2024v1.Hybrid2024Request_builder{Text: proto.String("c")}.Build(), hybrid2024v1.Hybrid2024Reply_builder{Text: proto.String("ab")}.Build())
	},
	"torture.opaque2023.v1.Opaque2023": func(t *testing.T) {
		caller := serve(t, opaque2023v1francis.RegisterOpaque2023, opaque2023v1francis.Opaque2023(opaque2023{}))
		r := callEvery(t, opaque2023v1francis.NewOpaque2023Proxy(caller, "id"))
		r.want(t, "Do", opaque2023v1.Opaque2023Request_builder{Text: proto.String("a")}.Build(), opaque2023v1.Opaque2023Reply_builder{Text: proto.String("a")}.Build())
		r.want(t, "Do", opaque2023v1.Opaque2023Request_builder{Text: proto.String("b")}.Build(), opaque2023v1.Opaque2023Reply_builder{Text: proto.String("ab")}.Build())
		r.want(t, "Look", opaque2023v1.Opaque2023Request_builder{Text: proto.String("c")}.Build(), opaque2023v1.Opaque2023Reply_builder{Text: proto.String("ab")}.Build())
	},
	"torturenoversion.NoVersion": func(t *testing.T) {
		caller := serve(t, noversionfrancis.RegisterNoVersion, noversionfrancis.NoVersion(noVersion{}))
		r := callEvery(t, noversionfrancis.NewNoVersionProxy(caller, "id"))
		r.want(t, "Do", &noversion.NoVersionRequest{Text: "a"}, &noversion.NoVersionRequest{Text: "a"})
		r.want(t, "Do", &noversion.NoVersionRequest{Text: "b"}, &noversion.NoVersionRequest{Text: "ab"})
	},
	"TortureNoPackage": func(t *testing.T) {
		caller := serve(t, nopackagefrancis.RegisterTortureNoPackage, nopackagefrancis.TortureNoPackage(tortureNoPackage{}))
		r := callEvery(t, nopackagefrancis.NewTortureNoPackageProxy(caller, "id"))
		r.want(t, "Do", &nopackage.TortureNoPackageRequest{Text: "a"}, &nopackage.TortureNoPackageRequest{Text: "a"})
		r.want(t, "Do", &nopackage.TortureNoPackageRequest{Text: "b"}, &nopackage.TortureNoPackageRequest{Text: "ab"})
	},
	"torture.samepackage.v1.SamePackage": func(t *testing.T) {
		caller := serve(t, samepackagev1.RegisterSamePackage, samepackagev1.SamePackage(samePackage{}))
		r := callEvery(t, samepackagev1.NewSamePackageProxy(caller, "id"))
		r.want(t, "Do", &samepackagev1.Request{Text: "a"}, &samepackagev1.Request{Text: "a"})
		r.want(t, "Do", &samepackagev1.Request{Text: "b"}, &samepackagev1.Request{Text: "ab"})
	},
	"torture.twofiles.v1.Alpha": func(t *testing.T) {
		caller := serve(t, twofilesv1francis.RegisterAlpha, twofilesv1francis.Alpha(alpha{}))
		r := callEvery(t, twofilesv1francis.NewAlphaProxy(caller, "id"))
		r.want(t, "Do", &twofilesv1.AlphaRequest{Text: "a"}, &twofilesv1.AlphaRequest{Text: "a"})
		r.want(t, "Do", &twofilesv1.AlphaRequest{Text: "b"}, &twofilesv1.AlphaRequest{Text: "ab"})
	},
	"torture.twofiles.v1.Beta": func(t *testing.T) {
		caller := serve(t, twofilesv1francis.RegisterBeta, twofilesv1francis.Beta(beta{}))
		r := callEvery(t, twofilesv1francis.NewBetaProxy(caller, "id"))
		r.want(t, "Do", &twofilesv1.AlphaRequest{Text: "a"}, &twofilesv1.AlphaRequest{Text: "1"})
		r.want(t, "Do", &twofilesv1.AlphaRequest{Text: "a"}, &twofilesv1.AlphaRequest{Text: "2"})
	},
	"torture.nested.v1.Nested": func(t *testing.T) {
		caller := serve(t, nestedv1francis.RegisterNested, nestedv1francis.Nested(nested{}))
		r := callEvery(t, nestedv1francis.NewNestedProxy(caller, "id"))
		r.want(t, "Do", &nestedv1.Outer_Middle_Request{Text: "a"}, &nestedv1.Outer_MiddleReplyMessage{Text: "a"})
	},
	"torture.twoactors.v1.First": func(t *testing.T) {
		caller := serve(t, twoactorsv1francis.RegisterFirst, twoactorsv1francis.First(first{}))
		r := callEvery(t, twoactorsv1francis.NewFirstProxy(caller, "id"))
		r.want(t, "Do", &sharedv1.Word{Text: "a"}, &sharedv1.Word{Text: "a"})
		r.want(t, "Do", &sharedv1.Word{Text: "b"}, &sharedv1.Word{Text: "ab"})
	},
	"torture.twoactors.v1.Second": func(t *testing.T) {
		caller := serve(t, twoactorsv1francis.RegisterSecond, twoactorsv1francis.Second(second{}))
		r := callEvery(t, twoactorsv1francis.NewSecondProxy(caller, "id"))
		r.want(t, "Do", &sharedv1.Word{Text: "a"}, &sharedv1.Word{Text: "id: a"})
	},
	"torture.twoactors.v1.Empty": func(t *testing.T) {
		caller := serve(t, twoactorsv1francis.RegisterEmpty, twoactorsv1francis.Empty(empty{}))
		r := callEvery(t, twoactorsv1francis.NewEmptyProxy(caller, "id"))
		r.none(t)
	},
	"torture.wellknown.v1.WellKnown": func(t *testing.T) {
		caller := serve(t, wellknownv1francis.RegisterWellKnown, wellknownv1francis.WellKnown(wellKnown{}))
		r := callEvery(t, wellknownv1francis.NewWellKnownProxy(caller, "id"))
		r.want(t, "Now", &emptypb.Empty{}, &timestamppb.Timestamp{Seconds: 42})
		r.want(t, "Pack", object("key", "value"), packed(t, object("key", "value")))
		r.want(t, "Shout", &sharedv1.Word{Text: "key"}, &sharedv1.Word{Text: "value"})
	},
	"torture.deprecated.v1.Old": func(t *testing.T) {
		caller := serve(t, deprecatedv1francis.RegisterOld, deprecatedv1francis.Old(old{}))
		r := callEvery(t, deprecatedv1francis.NewOldProxy(caller, "id"))
		r.want(t, "Do", &deprecatedv1.OldRequest{Text: "a"}, &deprecatedv1.OldRequest{Text: "Do a"})
		r.want(t, "Bare", &deprecatedv1.OldRequest{Text: "a"}, &deprecatedv1.OldRequest{Text: "Bare a"})
		r.want(t, "Told", &deprecatedv1.OldRequest{Text: "a"}, &deprecatedv1.OldRequest{Text: "Told a"})
	},
	"torture.deprecated.v1.Told": func(t *testing.T) {
		caller := serve(t, deprecatedv1francis.RegisterTold, deprecatedv1francis.Told(told{}))
		r := callEvery(t, deprecatedv1francis.NewToldProxy(caller, "id"))
		r.none(t)
	},
	"torture.comments.v1.Comments": func(t *testing.T) {
		caller := serve(t, commentsv1francis.RegisterComments, commentsv1francis.Comments(commentsv1francis.UnimplementedComments{}))
		wantUnimplemented(t, commentsv1francis.NewCommentsProxy(caller, "id"))
	},
	"torture.vetted.v1.Vetted": func(t *testing.T) {
		caller := serve(t, vettedv1francis.RegisterVetted, vettedv1francis.Vetted(vettedv1francis.UnimplementedVetted{}))
		wantUnimplemented(t, vettedv1francis.NewVettedProxy(caller, "id"))
	},
	"torture.stateless.v1.Stateless": func(t *testing.T) {
		caller := serve(t, statelessv1francis.RegisterStateless, statelessv1francis.Stateless(stateless{}))
		r := callEvery(t, statelessv1francis.NewStatelessProxy(caller, "id"))
		r.want(t, "Do", &statelessv1.StatelessRequest{Text: "a"}, &statelessv1.StatelessReply{Text: "Do a of id"})
		r.want(t, "Look", &statelessv1.StatelessRequest{Text: "a"}, &statelessv1.StatelessReply{Text: "Look a of id"})
	},
	"torture.locals.Locals": func(t *testing.T) {
		caller := serve(t, localsfrancis.RegisterLocals, localsfrancis.Locals(locals{}))
		r := callEvery(t, localsfrancis.NewLocalsProxy(caller, "id"))
		r.want(t, "M0", &inCtx.Word{Text: "a"}, &inCtx.Word{Text: "M0 a"})
		r.want(t, "M1", &inReq.Word{Text: "a"}, &inReq.Word{Text: "M1 a"})
		r.want(t, "M2", &inOpts.Word{Text: "a"}, &inOpts.Word{Text: "M2 a"})
		r.want(t, "M3", &inP.Word{Text: "a"}, &inP.Word{Text: "M3 a"})
		r.want(t, "M4", &inHost.Word{Text: "a"}, &inHost.Word{Text: "M4 a"})
		r.want(t, "M5", &inTurn.Word{Text: "a"}, &inTurn.Word{Text: "M5 a"})
		r.want(t, "M6", &inView.Word{Text: "a"}, &inView.Word{Text: "M6 a"})
		r.want(t, "M7", &inSdk.Word{Text: "a"}, &inSdk.Word{Text: "M7 a"})
		r.want(t, "M8", &inContext.Word{Text: "a"}, &inContext.Word{Text: "M8 a"})
		r.want(t, "M9", &inCaller.Word{Text: "a"}, &inCaller.Word{Text: "M9 a"})
		r.want(t, "M10", &inId.Word{Text: "a"}, &inId.Word{Text: "M10 a"})
		r.want(t, "M11", &inNewLocals.Word{Text: "a"}, &inNewLocals.Word{Text: "M11 a"})
		r.want(t, "M12", &inError.Word{Text: "a"}, &inError.Word{Text: "M12 a"})
		r.want(t, "M13", &inFunc.Word{Text: "a"}, &inFunc.Word{Text: "M13 a"})
		r.want(t, "M14", &inCtx2.Word{Text: "a"}, &inCtx2.Word{Text: "M14 a"})
		r.want(t, "M15", &inL.Word{Text: "a"}, &inL.Word{Text: "M15 a"})
		r.want(t, "M16", &inName.Word{Text: "a"}, &inName.Word{Text: "M16 a"})
		r.want(t, "M17", &inWhen.Word{Text: "a"}, &inWhen.Word{Text: "M17 a"})
		r.want(t, "M18", &inT.Word{Text: "a"}, &inT.Word{Text: "M18 a"})
	},
	"torture.ids.v1.Ids": func(t *testing.T) {
		caller := serve(t, idsv1francis.RegisterIds, idsv1francis.Ids(identified{}))
		r := callEvery(t, idsv1francis.NewIdsProxy(caller, "7"))
		want := &idsv1.IdsReply{Id: "7", Text: "a"}
		r.want(t, "Text", &idsv1.TextRequest{Text: "a"}, want)
		r.want(t, "Text", &idsv1.TextRequest{Id: "7", Text: "a"}, want)
		r.want(t, "Small", &idsv1.SmallRequest{Text: "a"}, want)
		r.want(t, "Small", &idsv1.SmallRequest{Id: 7, Text: "a"}, want)
		r.want(t, "Big", &idsv1.BigRequest{Text: "a"}, want)
		r.want(t, "Big", &idsv1.BigRequest{Id: 7, Text: "a"}, want)
		r.want(t, "Signed", &idsv1.SignedRequest{Text: "a"}, want)
		r.want(t, "Signed", &idsv1.SignedRequest{Id: 7, Text: "a"}, want)
		r.want(t, "Fixed", &idsv1.FixedRequest{Text: "a"}, want)
		r.want(t, "Fixed", &idsv1.FixedRequest{Id: 7, Text: "a"}, want)
		r.want(t, "Maybe", &idsv1.MaybeRequest{Text: "a"}, want)
		r.want(t, "Maybe", &idsv1.MaybeRequest{Id: proto.String("7"), Text: "a"}, want)
		r.want(t, "MaybeNumber", &idsv1.MaybeNumberRequest{Text: "a"}, want)
		r.want(t, "MaybeNumber", &idsv1.MaybeNumberRequest{Id: proto.Int64(7), Text: "a"}, want)
		r.want(t, "Hidden", &idsv1.TextRequest{Text: "a"}, want)
		r.refused(t, "Text", &idsv1.TextRequest{Id: "8"})
	},
}

type proto2 struct{}

func (proto2) Do(_ context.Context, turn proto2v1francis.Proto2Turn, req *proto2v1.Proto2Request) (*proto2v1.Proto2Reply, error) {
	turn.State().Text = proto.String(turn.State().GetText() + req.GetText())
	return &proto2v1.Proto2Reply{Text: proto.String(turn.State().GetText())}, nil
}

func (proto2) Look(_ context.Context, view proto2v1francis.Proto2View, _ *proto2v1.Proto2Request) (*proto2v1.Proto2Reply, error) {
	return &proto2v1.Proto2Reply{Text: proto.String(view.State().GetText())}, nil
}

type edition2023 struct{}

func (edition2023) Do(_ context.Context, turn edition2023v1francis.Edition2023Turn, req *edition2023v1.Edition2023Request) (*edition2023v1.Edition2023Reply, error) {
	turn.State().Text = proto.String(turn.State().GetText() + req.GetText())
	return &edition2023v1.Edition2023Reply{Text: proto.String(turn.State().GetText())}, nil
}

func (edition2023) Look(_ context.Context, view edition2023v1francis.Edition2023View, _ *edition2023v1.Edition2023Request) (*edition2023v1.Edition2023Reply, error) {
	return &edition2023v1.Edition2023Reply{Text: proto.String(view.State().GetText())}, nil
}

type edition2024 struct{}

func (edition2024) Do(_ context.Context, turn edition2024v1francis.Edition2024Turn, req *edition2024v1.Edition2024Request) (*edition2024v1.Edition2024Reply, error) {
	turn.State().SetText(turn.State().GetText() + req.GetText())
	return edition2024v1.Edition2024Reply_builder{Text: proto.String(turn.State().GetText())}.Build(), nil
}

func (edition2024) Look(_ context.Context, view edition2024v1francis.Edition2024View, _ *edition2024v1.Edition2024Request) (*edition2024v1.Edition2024Reply, error) {
	return edition2024v1.Edition2024Reply_builder{Text: proto.String(view.State().GetText())}.Build(), nil
}

type hybrid2023 struct{}

func (hybrid2023) Do(_ context.Context, turn hybrid2023v1francis.Hybrid2023Turn, req *hybrid2023v1.Hybrid2023Request) (*hybrid2023v1.Hybrid2023Reply, error) {
	turn.State().Text = proto.String(turn.State().GetText() + req.GetText())
	return &hybrid2023v1.Hybrid2023Reply{Text: proto.String(turn.State().GetText())}, nil
}

func (hybrid2023) Look(_ context.Context, view hybrid2023v1francis.Hybrid2023View, _ *hybrid2023v1.Hybrid2023Request) (*hybrid2023v1.Hybrid2023Reply, error) {
	return &hybrid2023v1.Hybrid2023Reply{Text: proto.String(view.State().GetText())}, nil
}

type hybrid2024 struct{}

func (hybrid2024) Do(_ context.Context, turn hybrid2024v1francis.Hybrid2024Turn, req *hybrid2024v1.Hybrid2024Request) (*hybrid2024v1.Hybrid2024Reply, error) {
	turn.State().SetText(turn.State().GetText() + req.GetText())
	return hybrid2024v1.Hybrid2024Reply_builder{Text: proto.String(turn.State().GetText())}.Build(), nil
}

func (hybrid2024) Look(_ context.Context, view hybrid2024v1francis.Hybrid2024View, _ *hybrid2024v1.Hybrid2024Request) (*hybrid2024v1.Hybrid2024Reply, error) {
	return hybrid2024v1.Hybrid2024Reply_builder{Text: proto.String(view.State().GetText())}.Build(), nil
}

type opaque2023 struct{}

func (opaque2023) Do(_ context.Context, turn opaque2023v1francis.Opaque2023Turn, req *opaque2023v1.Opaque2023Request) (*opaque2023v1.Opaque2023Reply, error) {
	turn.State().SetText(turn.State().GetText() + req.GetText())
	return opaque2023v1.Opaque2023Reply_builder{Text: proto.String(turn.State().GetText())}.Build(), nil
}

func (opaque2023) Look(_ context.Context, view opaque2023v1francis.Opaque2023View, _ *opaque2023v1.Opaque2023Request) (*opaque2023v1.Opaque2023Reply, error) {
	return opaque2023v1.Opaque2023Reply_builder{Text: proto.String(view.State().GetText())}.Build(), nil
}

type noVersion struct{}

func (noVersion) Do(_ context.Context, turn noversionfrancis.NoVersionTurn, req *noversion.NoVersionRequest) (*noversion.NoVersionRequest, error) {
	turn.State().Text += req.GetText()
	return &noversion.NoVersionRequest{Text: turn.State().GetText()}, nil
}

type tortureNoPackage struct{}

func (tortureNoPackage) Do(_ context.Context, turn nopackagefrancis.TortureNoPackageTurn, req *nopackage.TortureNoPackageRequest) (*nopackage.TortureNoPackageRequest, error) {
	turn.State().Text += req.GetText()
	return &nopackage.TortureNoPackageRequest{Text: turn.State().GetText()}, nil
}

type samePackage struct{}

func (samePackage) Do(_ context.Context, turn samepackagev1.SamePackageTurn, req *samepackagev1.Request) (*samepackagev1.Request, error) {
	turn.State().Text += req.GetText()
	return &samepackagev1.Request{Text: turn.State().GetText()}, nil
}

type alpha struct{}

func (alpha) Do(_ context.Context, turn twofilesv1francis.AlphaTurn, req *twofilesv1.AlphaRequest) (*twofilesv1.AlphaRequest, error) {
	turn.State().Text += req.GetText()
	return &twofilesv1.AlphaRequest{Text: turn.State().GetText()}, nil
}

type beta struct{}

// Do counts in a state that its file does not import.
func (beta) Do(_ context.Context, turn twofilesv1francis.BetaTurn, _ *twofilesv1.AlphaRequest) (*twofilesv1.AlphaRequest, error) {
	turn.State().Count++
	return &twofilesv1.AlphaRequest{Text: strconv.FormatInt(turn.State().GetCount(), 10)}, nil
}

type nested struct{}

func (nested) Do(_ context.Context, turn nestedv1francis.NestedTurn, req *nestedv1.Outer_Middle_Request) (*nestedv1.Outer_MiddleReplyMessage, error) {
	turn.State().Text += req.GetText()
	return &nestedv1.Outer_MiddleReplyMessage{Text: turn.State().GetText()}, nil
}

type first struct{}

func (first) Do(_ context.Context, turn twoactorsv1francis.FirstTurn, req *sharedv1.Word) (*sharedv1.Word, error) {
	turn.State().Text += req.GetText()
	return &sharedv1.Word{Text: turn.State().GetText()}, nil
}

type second struct{}

func (second) Do(_ context.Context, turn twoactorsv1francis.SecondTurn, req *sharedv1.Word) (*sharedv1.Word, error) {
	return &sharedv1.Word{Text: turn.ID() + ": " + req.GetText()}, nil
}

type empty struct{}

type wellKnown struct{}

func (wellKnown) Now(context.Context, wellknownv1francis.WellKnownTurn, *emptypb.Empty) (*timestamppb.Timestamp, error) {
	return &timestamppb.Timestamp{Seconds: 42}, nil
}

func (wellKnown) Pack(_ context.Context, turn wellknownv1francis.WellKnownTurn, req *structpb.Struct) (*anypb.Any, error) {
	turn.State().Fields = req.GetFields()
	return anypb.New(req)
}

func (wellKnown) Shout(_ context.Context, view wellknownv1francis.WellKnownView, req *sharedv1.Word) (*sharedv1.Word, error) {
	return &sharedv1.Word{Text: view.State().GetFields()[req.GetText()].GetStringValue()}, nil
}

func object(key, value string) *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{key: structpb.NewStringValue(value)}}
}

func packed(t *testing.T, message proto.Message) *anypb.Any {
	t.Helper()
	packed, err := anypb.New(message)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

type old struct{}

func (old) Do(_ context.Context, _ deprecatedv1francis.OldTurn, req *deprecatedv1.OldRequest) (*deprecatedv1.OldRequest, error) {
	return &deprecatedv1.OldRequest{Text: "Do " + req.GetText()}, nil
}

func (old) Bare(_ context.Context, _ deprecatedv1francis.OldView, req *deprecatedv1.OldRequest) (*deprecatedv1.OldRequest, error) {
	return &deprecatedv1.OldRequest{Text: "Bare " + req.GetText()}, nil
}

func (old) Told(_ context.Context, _ deprecatedv1francis.OldTurn, req *deprecatedv1.OldRequest) (*deprecatedv1.OldRequest, error) {
	return &deprecatedv1.OldRequest{Text: "Told " + req.GetText()}, nil
}

type told struct{}

type stateless struct{}

func (stateless) Do(_ context.Context, turn statelessv1francis.StatelessTurn, req *statelessv1.StatelessRequest) (*statelessv1.StatelessReply, error) {
	return &statelessv1.StatelessReply{Text: "Do " + req.GetText() + " of " + turn.ID()}, nil
}

func (stateless) Look(_ context.Context, view statelessv1francis.StatelessView, req *statelessv1.StatelessRequest) (*statelessv1.StatelessReply, error) {
	return &statelessv1.StatelessReply{Text: "Look " + req.GetText() + " of " + view.ID()}, nil
}

type locals struct{}

func (locals) M0(_ context.Context, _ localsfrancis.LocalsView, req *inCtx.Word) (*inCtx.Word, error) {
	return &inCtx.Word{Text: "M0 " + req.GetText()}, nil
}

func (locals) M1(_ context.Context, _ localsfrancis.LocalsTurn, req *inReq.Word) (*inReq.Word, error) {
	return &inReq.Word{Text: "M1 " + req.GetText()}, nil
}

func (locals) M2(_ context.Context, _ localsfrancis.LocalsView, req *inOpts.Word) (*inOpts.Word, error) {
	return &inOpts.Word{Text: "M2 " + req.GetText()}, nil
}

func (locals) M3(_ context.Context, _ localsfrancis.LocalsTurn, req *inP.Word) (*inP.Word, error) {
	return &inP.Word{Text: "M3 " + req.GetText()}, nil
}

func (locals) M4(_ context.Context, _ localsfrancis.LocalsView, req *inHost.Word) (*inHost.Word, error) {
	return &inHost.Word{Text: "M4 " + req.GetText()}, nil
}

func (locals) M5(_ context.Context, _ localsfrancis.LocalsTurn, req *inTurn.Word) (*inTurn.Word, error) {
	return &inTurn.Word{Text: "M5 " + req.GetText()}, nil
}

func (locals) M6(_ context.Context, _ localsfrancis.LocalsView, req *inView.Word) (*inView.Word, error) {
	return &inView.Word{Text: "M6 " + req.GetText()}, nil
}

func (locals) M7(_ context.Context, _ localsfrancis.LocalsTurn, req *inSdk.Word) (*inSdk.Word, error) {
	return &inSdk.Word{Text: "M7 " + req.GetText()}, nil
}

func (locals) M8(_ context.Context, _ localsfrancis.LocalsView, req *inContext.Word) (*inContext.Word, error) {
	return &inContext.Word{Text: "M8 " + req.GetText()}, nil
}

func (locals) M9(_ context.Context, _ localsfrancis.LocalsTurn, req *inCaller.Word) (*inCaller.Word, error) {
	return &inCaller.Word{Text: "M9 " + req.GetText()}, nil
}

func (locals) M10(_ context.Context, _ localsfrancis.LocalsView, req *inId.Word) (*inId.Word, error) {
	return &inId.Word{Text: "M10 " + req.GetText()}, nil
}

func (locals) M11(_ context.Context, _ localsfrancis.LocalsTurn, req *inNewLocals.Word) (*inNewLocals.Word, error) {
	return &inNewLocals.Word{Text: "M11 " + req.GetText()}, nil
}

func (locals) M12(_ context.Context, _ localsfrancis.LocalsView, req *inError.Word) (*inError.Word, error) {
	return &inError.Word{Text: "M12 " + req.GetText()}, nil
}

func (locals) M13(_ context.Context, _ localsfrancis.LocalsTurn, req *inFunc.Word) (*inFunc.Word, error) {
	return &inFunc.Word{Text: "M13 " + req.GetText()}, nil
}

func (locals) M14(_ context.Context, _ localsfrancis.LocalsView, req *inCtx2.Word) (*inCtx2.Word, error) {
	return &inCtx2.Word{Text: "M14 " + req.GetText()}, nil
}

func (locals) M15(_ context.Context, _ localsfrancis.LocalsTurn, req *inL.Word) (*inL.Word, error) {
	return &inL.Word{Text: "M15 " + req.GetText()}, nil
}

func (locals) M16(_ context.Context, _ localsfrancis.LocalsTurn, req *inName.Word) (*inName.Word, error) {
	return &inName.Word{Text: "M16 " + req.GetText()}, nil
}

func (locals) M17(_ context.Context, _ localsfrancis.LocalsTurn, req *inWhen.Word) (*inWhen.Word, error) {
	return &inWhen.Word{Text: "M17 " + req.GetText()}, nil
}

func (locals) M18(_ context.Context, _ localsfrancis.LocalsTurn, req *inT.Word) (*inT.Word, error) {
	return &inT.Word{Text: "M18 " + req.GetText()}, nil
}

// identified answers with the id that the request carries when it arrives.
type identified struct{}

func (identified) Text(_ context.Context, _ idsv1francis.IdsTurn, req *idsv1.TextRequest) (*idsv1.IdsReply, error) {
	return &idsv1.IdsReply{Id: req.GetId(), Text: req.GetText()}, nil
}

func (identified) Small(_ context.Context, _ idsv1francis.IdsTurn, req *idsv1.SmallRequest) (*idsv1.IdsReply, error) {
	return &idsv1.IdsReply{Id: fmt.Sprint(req.GetId()), Text: req.GetText()}, nil
}

func (identified) Big(_ context.Context, _ idsv1francis.IdsTurn, req *idsv1.BigRequest) (*idsv1.IdsReply, error) {
	return &idsv1.IdsReply{Id: fmt.Sprint(req.GetId()), Text: req.GetText()}, nil
}

func (identified) Signed(_ context.Context, _ idsv1francis.IdsTurn, req *idsv1.SignedRequest) (*idsv1.IdsReply, error) {
	return &idsv1.IdsReply{Id: fmt.Sprint(req.GetId()), Text: req.GetText()}, nil
}

func (identified) Fixed(_ context.Context, _ idsv1francis.IdsTurn, req *idsv1.FixedRequest) (*idsv1.IdsReply, error) {
	return &idsv1.IdsReply{Id: fmt.Sprint(req.GetId()), Text: req.GetText()}, nil
}

func (identified) Maybe(_ context.Context, _ idsv1francis.IdsTurn, req *idsv1.MaybeRequest) (*idsv1.IdsReply, error) {
	return &idsv1.IdsReply{Id: req.GetId(), Text: req.GetText()}, nil
}

func (identified) MaybeNumber(_ context.Context, _ idsv1francis.IdsTurn, req *idsv1.MaybeNumberRequest) (*idsv1.IdsReply, error) {
	return &idsv1.IdsReply{Id: fmt.Sprint(req.GetId()), Text: req.GetText()}, nil
}

func (identified) Hidden(_ context.Context, _ idsv1francis.IdsTurn, req *idsv1.TextRequest) (*idsv1.IdsReply, error) {
	return &idsv1.IdsReply{Id: req.GetId(), Text: req.GetText()}, nil
}
