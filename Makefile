# `make` alone lists the targets. All that they make lies in .archiver, which git
# ignores.

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

BIN := .archiver/bin/archiver

# The linter is built from source with this Go: a linter that was built with an older
# Go cannot read the output of a newer compiler.
LINT_VERSION := v2.15.0
LINT_DIR = $(CURDIR)/.archiver/golangci-lint/$(LINT_VERSION)-$(shell $(GO) env GOVERSION)
LINT = GOLANGCI_LINT_CACHE='$(CURDIR)/.archiver/cache/golangci-lint' '$(LINT_DIR)/golangci-lint'

# PKG=./internal/load limits test and soak to a package. ./deploy is a module.
PKG ?= ./...
RUNS ?= 20
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt build bench soak clean linter

help: ## list the targets (the default)
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-6s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## archive a built-in day on this machine and show the result
	@$(BIN) demo

test: ## run all tests with the race detector (PKG=./internal/load for one package)
	@GO='$(GO)' sh .ci/test $(PKG)

lint: linter ## run the checks of .golangci.yml
	$(LINT) run ./... ./.ci
	cd deploy && $(LINT) run

fmt: linter ## format the code
	$(LINT) fmt

build: ## build the command into .archiver/bin
	@CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -ldflags '-s -w -X main.release=$(VERSION)' -o $(BIN) ./cmd/archiver

bench: ## measure for some minutes and write bench/results.md (BENCH=name for one)
	@$(GO) run ./internal/bench $(if $(BENCH),-run '$(BENCH)')

soak: ## run the long tests at this size and write docs/reliability.md (RUNS=20)
	@GO='$(GO)' ARCHIVER_SOAK='$(RUNS)' sh .ci/soak $(PKG)

clean: ## remove .archiver, with the database of the demo
	rm -rf .archiver

linter:
	@test -x '$(LINT_DIR)/golangci-lint' || { \
		echo 'building golangci-lint $(LINT_VERSION), which takes some minutes, once' && \
		GOBIN='$(LINT_DIR)' $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION); }
