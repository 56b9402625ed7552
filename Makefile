# Two targets are all that most people need: `make up` and `make test`.

export CGO_ENABLED = 0
GO       ?= go
BIN      := bin/cordon
FUZZTIME ?= 40000x
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The real programs that the tests talk to. They are installed when one is missing.
PEERS    := dcmtk orthanc orthanc-dicomweb clamav-daemon clamav-testfiles c-icap python3-pydicom rsyslog rsyslog-gnutls libxml2-utils prometheus poppler-utils nftables iproute2 chromium
PROGRAMS := storescu storescp dcmsend echoscu dcmdump dcmqrscp wlmscpfs dcmprscp Orthanc clamd c-icap rsyslogd xmllint prometheus promtool pdftotext nft ip chromium

.PHONY: up build test beside check fmt vet unit race fuzz faults pages scenarios interop peers bench generate deb clean

up: build ## build and run on embedded defaults, demo traffic included
	$(BIN) up --demo

build:
	$(GO) build -trimpath -buildvcs=auto -ldflags '-X main.version=$(VERSION)' -o $(BIN) ./cmd/cordon

test: peers fmt vet unit beside ## everything that must pass
	@echo "all tests passed"

# Tests with peers wait for most of their time. The fuzz, which gives way to them, has it.
beside:
	@$(MAKE) --no-print-directory -j2 interop fuzz

fmt:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi

vet:
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

unit:
	$(GO) test $$($(GO) list ./... | grep -v -e /interop -e /bench)

interop: build
	$(GO) test -count=1 -timeout 15m ./interop/...

faults: ## every fault at all its points: half an hour; writes docs/faults.md
	CORDON_FAULTS=$(CURDIR)/docs/faults.md $(GO) test -tags faults -count=1 -timeout 90m -v -run 'KilledAtAny|PowerGoes|DiskFails|ArchiveMisbehaves|ArchiveFallsSilent|DatabaseIsBusy|VaultKeyIsMissing|TwoCordonsOnOneDirectory|SenderGoesAway|ClockJumps|BrokenPromise|AfterACrash|FirstAcknowledged' ./interop

scenarios: build ## the incidents that Cordon is for, with 1,000 images of each scanner
	CORDON_SCENARIO_IMAGES=1000 $(GO) test -count=1 -timeout 60m -v -run 'InfectedScanner|LastOfItsKind|SpreadStops|NoTicketNoRoute' ./interop

pages: ## every page of the console in every way, with pictures in bin/pages; a million records
	mkdir -p bin/pages
	CORDON_SCREENSHOTS=$(CURDIR)/bin/pages $(GO) test -count=1 -timeout 20m -v -run TestEveryPageCanBeUsedByEverybody ./interop
	CORDON_RECORDS=1000000 $(GO) test -count=1 -timeout 20m -v -run TestPagesAreThereSoonWithALargeLedger ./interop

fuzz: ## a short fuzz of every parser, counted in inputs; FUZZTIME=10m for a long one
	@set -e; for f in $$(git grep -l '^func Fuzz' -- '*_test.go'); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$f); do \
	    echo "fuzz $$name in $$(dirname $$f)"; \
	    nice -n 10 $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x ./$$(dirname $$f); \
	  done; done

race: ## needs a C compiler
	CGO_ENABLED=1 $(GO) test -race ./...

bench: build peers ## against real peers, as ratios in one run
	$(GO) run ./bench

peers:
	@missing=; for p in $(PROGRAMS); do command -v $$p >/dev/null 2>&1 || missing=1; done; \
	[ -f /usr/lib/python3/dist-packages/pydicom/__init__.py ] || missing=1; \
	[ -d /usr/share/clamav-testfiles ] || missing=1; \
	ls /usr/lib/*/rsyslog/lmnsd_gtls.so >/dev/null 2>&1 || missing=1; \
	node=; { command -v node && command -v npm; } >/dev/null 2>&1 || { missing=1; node="nodejs npm"; }; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	    echo "the tests need these Debian packages: $(PEERS) $$node; install them, or run make test as root"; exit 1; fi; \
	  apt-get update -qq; RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(PEERS) $$node >/dev/null; fi

generate:
	$(GO) generate ./...

# From the last commit, so that the same tree makes the same package.
STAMP    := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
DEB      := 0~git$(shell git log -1 --format=%cd --date=format:%Y%m%d%H%M%S 2>/dev/null).$(shell git log -1 --format=%h 2>/dev/null)

deb: build ## a Debian package, in bin/
	deploy/debian/build.sh $(BIN) bin '$(DEB)' $(STAMP)

clean:
	rm -rf bin
