module github.com/francis-actors/francis

go 1.26.0

require (
	connectrpc.com/connect/v2 v2.0.2
	github.com/cespare/xxhash/v2 v2.3.0
	google.golang.org/protobuf v1.36.12
)

tool (
	connectrpc.com/connect/v2/cmd/protoc-gen-connect-go
	google.golang.org/protobuf/cmd/protoc-gen-go
)
