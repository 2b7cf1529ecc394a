# SPDX-License-Identifier: Apache-2.0
# On a bare Debian 12, as root: `make demo` and `make test` install what they need.  `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# Debian's own interpreter first: its headers come with the package list.
PYTHON ?= $(shell for p in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := .build
PREFIX ?= /opt/lictl
FUZZ_SECONDS ?= 3600

KERNEL := $(wildcard kernel/*.[ch])
NATIVE := $(wildcard native/*.[ch] native/*.py)
C_SOURCES := $(wildcard kernel/*.[ch] native/*.[ch] native/*/*.[ch] bench/*.[ch] tests/*/*.[ch])
PY_SOURCES = $(shell find lictl -name '*.py' -not -name '_native*')
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: help build agency-wheel demo test test-tree test-wheel test-kernel lint format wheel bench fuzz docs install clean distclean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r t d; do printf '  make %-11s %s\n' "$$t" "$$d"; done

$(STAMP)/packages: packages.txt tools/install-packages
	@mkdir -p $(STAMP)
	tools/install-packages
	@touch $@

# What the build itself needs stands in pyproject.toml, once.
$(STAMP)/venv: pyproject.toml | $(STAMP)/packages
	@[[ -n "$(PYTHON)" ]] || { echo "make: no Python 3.11 or later found" >&2; exit 1; }
	[[ -x $(BIN)/python ]] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' >$(STAMP)/build-requires
	$(PIP) install -r $(STAMP)/build-requires
	@touch $@

# The BPF object, the native extension and the editable package.
$(STAMP)/built: $(STAMP)/packages $(STAMP)/venv setup.py $(KERNEL) $(NATIVE)
	$(PIP) install --no-build-isolation --editable '.[dev]'
	@touch $@

build: $(STAMP)/built ## install what is missing, build everything in .venv

demo: build ## run the lab: subscribers, warrants, agency; verify what was delivered
	$(BIN)/lictl demo

lint: build ## ruff, mypy --strict, clang-format
	@rc=0; \
	$(BIN)/ruff check . || rc=1; \
	$(BIN)/ruff format --check . || rc=1; \
	$(BIN)/mypy --strict || rc=1; \
	clang-format --dry-run -Werror $(C_SOURCES) || rc=1; \
	exit $$rc

format: build ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	clang-format -i $(C_SOURCES)

# dist/ holds one wheel: the newest, with its shared libraries inside.
$(STAMP)/wheel: $(STAMP)/built $(PY_SOURCES) tools/bundle-wheel README.md LICENSE kernel/LICENSE
	rm -rf $(STAMP)/dist build
	$(BIN)/python -m build --wheel --no-isolation --outdir $(STAMP)/dist . >$(STAMP)/wheel.log
	tools/bundle-wheel $(STAMP)/dist/*.whl dist
	@ls -l dist
	@touch $@

wheel: $(STAMP)/wheel ## dist/*.whl, which runs without compiler, libbpf or source tree

agency-wheel: build ## dist/agency/*.whl, the agency's side for any system: receive, decode, verify
	LICTL_AGENCY=1 $(BIN)/python -m build --wheel --no-isolation --outdir dist/agency . >$(STAMP)/agency-wheel.log
	@ls -l dist/agency

test: build $(STAMP)/wheel ## everything: style, types, the suite on the tree, the suite on the installed wheel
	@tools/run-tests lint tree wheel

test-tree: build ## the suite on the source tree; PYTEST="-k ..." narrows it
	@tools/run-tests tree

test-wheel: build $(STAMP)/wheel ## the suite on the wheel, installed in a fresh environment
	@tools/run-tests wheel

bench: build ## the benchmark suite, into docs/benchmarks.md; BENCH="-k 'rate and 512'" measures a part
	$(BIN)/python -m pytest bench $(BENCH) --override-ini=testpaths=bench --benchmark-json=$(STAMP)/bench.json
	[[ ! -f bench/render.py ]] || $(BIN)/python bench/render.py $(STAMP)/bench.json docs/benchmarks.md

fuzz: build ## fuzz parser, files and encoders, then the agency's readers and receiver, FUZZ_SECONDS (3600) each
	$(MAKE) -C native/fuzz run SECONDS=$(FUZZ_SECONDS)
	cd $(STAMP) && $(abspath $(BIN))/python ../tests/collection/fuzz_readers.py $(FUZZ_SECONDS)
	cd $(STAMP) && $(abspath $(BIN))/python ../tests/collection/fuzz_receiver.py $(FUZZ_SECONDS)

test-kernel: build ## load the capture program on Debian 12's own kernel, in an emulated machine
	tools/boot-debian-kernel

docs: build ## check the documents: links, commands, index
	$(BIN)/python -m pytest -q tests/packaging/test_docs.py

install: $(STAMP)/wheel ## install the wheel in PREFIX (/opt/lictl), lictl on the path, the delivery user
	[[ -x $(PREFIX)/bin/python ]] || $(PYTHON) -m venv $(PREFIX)
	$(PREFIX)/bin/python -m pip --disable-pip-version-check -qq install --upgrade dist/*.whl
	mkdir -p $(PREFIX)/share/doc
	cp -r docs/. $(PREFIX)/share/doc/
	getent passwd lictl-delivery >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin lictl-delivery
	ln -sf $(PREFIX)/bin/lictl /usr/local/bin/lictl
	/usr/local/bin/lictl version

clean: ## remove what was built
	rm -rf $(STAMP) build dist *.egg-info lictl/probe/_native.c lictl/probe/*.so lictl/probe/capture.bpf.o*
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## also remove the virtual environment and the tools' caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
