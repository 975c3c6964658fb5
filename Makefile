# Everything that any developer's machine can run is under `make test`. It
# needs Go and, for the race detector, a C compiler.

GO       ?= go
MODULES  := . ./propagate ./propagate/grpc ./bench
PACKAGES := ./... ./propagate/... ./propagate/grpc/... ./bench/... ./test/cluster/...

.PHONY: test fmt vet lint unit build generate bench demo tidy

# test: format, vet (Linux and macOS), staticcheck, generated files, and every
# test with the race detector: units, properties, and whole systems of real
# processes and sockets.
test: fmt vet lint unit

fmt:
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then \
		echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet $(PACKAGES)
	$(GO) vet -tags e2e ./test/cluster/...
	GOOS=darwin $(GO) vet ./... ./propagate/... ./propagate/grpc/... ./test/cluster/...

lint:
	$(GO) tool staticcheck $(PACKAGES)
	$(GO) tool staticcheck -tags e2e ./test/cluster/...

unit:
	$(GO) test -race -timeout 20m $(PACKAGES)

# generate: schemas, references and the API's description, from the code. Tests
# fail when they are not what the code says.
generate:
	$(GO) generate ./api/... ./internal/...

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/greenroom ./cmd/greenroom

demo:
	$(GO) run ./cmd/greenroom demo

# bench: every figure in the docs that no test prints.
bench:
	$(GO) test -count=1 -v -run TestSwitchCostsTheSame ./internal/app
	$(GO) test -run '^$$' -bench . ./internal/route ./internal/pass
	cd bench && $(GO) test -run '^$$' -bench . ./propagation
	$(GO) run ./cmd/greenroom demo --auto

# tidy: the modules of this repository name each other by version. Only while
# their go.mod files are tidied does a copy of each say where they lie.
PROPAGATE := github.com/greenroom-dev/greenroom/propagate
tidy:
	@top=$$(pwd); for m in $(MODULES); do (cd $$m && cp go.mod tidy.mod && { [ ! -f go.sum ] || cp go.sum tidy.sum; } && \
		$(GO) mod edit -replace=$(PROPAGATE)@v0.1.0=$$top/propagate -replace=$(PROPAGATE)/grpc@v0.1.0=$$top/propagate/grpc tidy.mod && \
		GOWORK=off $(GO) mod tidy -modfile=tidy.mod && \
		$(GO) mod edit -dropreplace=$(PROPAGATE)@v0.1.0 -dropreplace=$(PROPAGATE)/grpc@v0.1.0 tidy.mod && \
		mv tidy.mod go.mod && { [ ! -f tidy.sum ] || mv tidy.sum go.sum; }) || exit 1; done
