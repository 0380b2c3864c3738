# `make` alone says what there is. Everything made goes under .archiver, which
# git ignores.

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

BIN := .archiver/bin/archiver

# The linter is built from source, for this Go, and kept per version of both:
# one that was built by an older Go cannot read what a newer one compiles.
LINT_VERSION := v2.15.0
LINT_DIR = $(CURDIR)/.archiver/golangci-lint/$(LINT_VERSION)-$(shell $(GO) env GOVERSION)
LINT = GOLANGCI_LINT_CACHE='$(CURDIR)/.archiver/cache/golangci-lint' '$(LINT_DIR)/golangci-lint'

# PKG=./internal/load narrows test and soak to a package.
PKG ?= ./...
RUNS ?= 20
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt build bench soak clean linter

help: ## what there is (the default)
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-6s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## archive a built-in day on this machine, and show what came of it
	@$(BIN) demo

test: ## all tests, with the race detector (PKG=./internal/load for one package)
	@GO='$(GO)' sh .ci/test $(PKG)

lint: linter ## every check of .golangci.yml, formatting included
	$(LINT) run

fmt: linter ## format the code
	$(LINT) fmt

build: ## build the command into .archiver/bin
	@CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o $(BIN) ./cmd/archiver

bench: ## measure, some minutes, and keep bench/results.md (BENCH=name for one)
	@$(GO) run ./internal/bench $(if $(BENCH),-run '$(BENCH)')

soak: ## the tests that take long, at the size you give (RUNS=20)
	ARCHIVER_SOAK='$(RUNS)' $(GO) test -count=1 -timeout 60m -run Soak $(PKG)

clean: ## remove all that was made here, the demo's database included
	rm -rf .archiver

linter:
	@test -x '$(LINT_DIR)/golangci-lint' || { \
		echo 'building golangci-lint $(LINT_VERSION), this once: it takes some minutes' && \
		GOBIN='$(LINT_DIR)' $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION); }
