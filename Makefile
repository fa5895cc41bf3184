# Every target sets up what it needs; see CONTRIBUTING.md.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.PHONY: help demo test check format lint generated bench build release clean
swift_sources := Package.swift Sources Tests

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## serve the demo company on http://127.0.0.1:8080, set up from nothing (Ctrl-C stops it)
	@scripts/demo

test: ## run all tests on a PostgreSQL of their own
	@scripts/test

check: lint test generated ## what CI asks for: format, lint, tests, generated files fresh
	@git diff --exit-code -- openapi.json docs || { echo "Generated files were out of date; they are fresh now: commit them." >&2; exit 1; }

format: ## format all Swift files in place
	swift format format --in-place --parallel --recursive $(swift_sources)

lint: ## format and style of all Swift files, without changing them
	swift format lint --strict --parallel --recursive $(swift_sources)

generated: ## write openapi.json and the generated pages of docs/ anew
	@scripts/generated

bench: release ## measure everything in docs/performance.md and write it anew
	@scripts/packages wrk
	@$$(scripts/python) bench/run.py

build: ## debug build
	@scripts/packages
	swift build 2>&1 | cat

release: ## optimised build of the muhatap command
	@scripts/packages
	swift build --configuration release --product muhatap 2>&1 | cat

clean: ## remove builds and everything that demo and tests made
	@[ ! -e .local/postgres ] || scripts/cluster remove .local/postgres
	rm -rf .build .local
