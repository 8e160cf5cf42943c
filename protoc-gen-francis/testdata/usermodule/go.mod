module example.com/shop

go 1.26.0

tool (
	github.com/francis-actors/francis/protoc-gen-francis
	google.golang.org/protobuf/cmd/protoc-gen-go
)

replace github.com/francis-actors/francis => ../../..

require (
	github.com/francis-actors/francis v0.0.0-00010101000000-000000000000
	google.golang.org/protobuf v1.36.12
)

require (
	connectrpc.com/connect/v2 v2.0.2 // indirect
	connectrpc.com/grpcreflect/v2 v2.0.0 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/netresearch/go-cron v0.13.4 // indirect
)
