# make: build, test and lint. make help lists the rest.
.DEFAULT_GOAL := all
.PHONY: all build test lint generate bench faults ci clean help

all: build test lint ## build, test and lint (the default)

build: ## compile everything
	go build ./...

test: ## run the tests
	go test ./...

lint: bin/golangci-lint bin/buf ## what .ci/run says about style, without the tests
	bin/golangci-lint run ./...
	bin/buf lint
	bin/buf format --diff --exit-code

generate: bin/buf bin/golangci-lint ## format the contracts and the code, and generate what comes from contracts
	bin/buf format --write
	bin/buf generate
	bin/golangci-lint fmt

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

faults: ## try every fault of docs/reliability.md in its long form, and write down the figures: an hour
	go test ./internal/chaos -count=1 -timeout 3h -v -chaos.form=long -chaos.write $(CURDIR)/docs/reliability.md
	go test ./runtime/engine -count=1 -timeout 1h -v -run TestLongSimulation -sim.seeds 20
	go test ./... -count=1 -timeout 1h

ci: ## the gate of a change
	.ci/run

clean: ## remove the built tools
	rm -rf bin

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST)

bin/buf: tools/go.mod
	go -C tools build -o ../bin/buf github.com/bufbuild/buf/cmd/buf

bin/golangci-lint: tools/lint/go.mod
	go -C tools/lint build -o ../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
