# kluere: build, demo, test, install. `make help` lists the targets.
SHELL := /bin/bash
ABI := $(shell sed -n 's/^.define KLUERE_ABI_VERSION \([0-9]*\)u.*/\1/p' include/kluere.h)
NUMBER := $(shell sed -n 's/^.define KLUERE_VERSION_NUMBER \([0-9]*\)u.*/\1/p' include/kluere.h)
VERSION := $(shell echo $$(($(NUMBER) / 10000)).$$(($(NUMBER) / 100 % 100)).$$(($(NUMBER) % 100)))

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
SWIFT ?= swift
PYTHON ?= python3
FILE := libkluere.so.$(ABI).$(VERSION)
# Where SwiftPM works; another folder keeps two builds apart.
SCRATCH ?= .build
BUILT := $(SCRATCH)/release/libkluere.so
export SWIFT PYTHON SCRATCH

.DEFAULT_GOAL := help
.PHONY: help build demo test bench install uninstall clean format format-check

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# The linker's list of exports is no input that SwiftPM tracks: a newer one forces a new link.
build: ## dist/lib/libkluere.so, optimised and self-contained
	@if [ -e $(BUILT) ] && [ Sources/Kluere/exports.map -nt $(BUILT) ]; then rm -f $(BUILT); fi
	$(SWIFT) build -c release --product kluere --scratch-path $(SCRATCH) < /dev/null
	@mkdir -p dist/lib
	@install -m 755 $(BUILT) dist/lib/$(FILE)
	@ln -sfn $(FILE) dist/lib/libkluere.so.$(ABI)
	@ln -sfn libkluere.so.$(ABI) dist/lib/libkluere.so
	@echo "dist/lib/libkluere.so: kluere $(VERSION), ABI $(ABI)"

demo: build ## train a small model on samples/data, then ask it from C and from Python (DEVICE=cuda: on a GPU)
	@bash samples/demo.sh

test: ## everything CI runs; STEPS="gates unit" for some of it
	@bash Tests/run.sh $(STEPS)

bench: build ## speed and memory against its peers on real KLUE-RE (ARGS="--data FOLDER")
	@bash Tests/run.sh --bench-python
	KLUERE_LIBRARY=$(CURDIR)/dist/lib PYTHONPATH=$(CURDIR)/bindings/python \
	.build/bench-venv/bin/python bindings/python/benchmarks/bench.py --output .build/bench $(ARGS)

install: build ## header, library and pkg-config file under PREFIX (default /usr/local)
	install -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 include/kluere.h $(DESTDIR)$(INCLUDEDIR)/kluere.h
	install -m 755 dist/lib/$(FILE) $(DESTDIR)$(LIBDIR)/$(FILE)
	ln -sfn $(FILE) $(DESTDIR)$(LIBDIR)/libkluere.so.$(ABI)
	ln -sfn libkluere.so.$(ABI) $(DESTDIR)$(LIBDIR)/libkluere.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	  -e 's|@VERSION@|$(VERSION)|' bindings/c/kluere.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/kluere.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/kluere.pc

uninstall: ## removes what install put there
	rm -f $(DESTDIR)$(INCLUDEDIR)/kluere.h $(DESTDIR)$(LIBDIR)/pkgconfig/kluere.pc $(DESTDIR)$(LIBDIR)/$(FILE) \
	  $(DESTDIR)$(LIBDIR)/libkluere.so.$(ABI) $(DESTDIR)$(LIBDIR)/libkluere.so

format: ## lays out the Swift code
	$(SWIFT) format format -i -r Sources Tests Package.swift

format-check: ## says where the code's layout differs from the rules
	$(SWIFT) format lint --strict -r Sources Tests Package.swift
	$(PYTHON) Tests/gates/text_gate.py

clean: ## removes everything that was built
	rm -rf .build build dist
	$(MAKE) -C samples/c clean
	$(MAKE) -C Tests/c clean
