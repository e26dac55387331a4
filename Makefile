# Martlet: `make run` boots a stock kernel to a shell, `make test` is what CI runs.

.PHONY: run test build install-dependencies install-test-dependencies lint check-generated format clean \
  build-for-guests fuzz fuzz-cpu fuzz-frontends litmus soak soak-power soak-kill soak-lazy bench tsan bench-latency \
  bench-yield bench-devices bench-paging bench-compile bench-restore

PACKAGES = liblzma-dev zlib1g-dev libzstd-dev liblz4-dev libslirp-dev liburing-dev libnbd-dev dpkg apt \
  debian-archive-keyring
TEST_PACKAGES = libcapstone-dev gcc libc6-dev libc6-dev-i386 binutils bc sqlite3 xz-utils gzip \
  openssl perl python3 stress-ng xenstore-utils qemu-utils $(shell command -v busybox >/dev/null || echo busybox)
SOURCES = Sources Tests Tools/Sources Fuzz/Sources Fuzz/Tests Fuzz/Package.swift Package.swift \
  Benchmarks/Sources Benchmarks/Tests Benchmarks/Package.swift

# With Swift's libraries in it: one file that starts in half of the time, on hosts without Swift too.
PRODUCT = swift build -c release --product martlet --static-swift-stdlib

run: install-dependencies
	$(PRODUCT)
	.build/release/martlet run

build: install-dependencies
	swift build -c release

# Comparisons with the host's processor in `make test`: a minute on a quiet machine.
EXECUTIONS ?= 8000000

# Tests that boot whole guests. They wait most of the time, so they run side by side; the others
# compute, and with time limits, so they run one after the other.
GUEST_SUITES = GuestTests|ProgramTests|PythonTests|HostTroubleTests|ManyProcessorTests|LoadTests|NeighbourTests|RunOptionTests|TerminalTests|ProcessorTests

# Everything CI checks: style, generated sources, release build, all tests; the comparison with the
# host's processor in a process of its own, because the host's exceptions are signals.
test: install-test-dependencies lint check-generated
	swift build -c release -Xswiftc -enable-testing --product martlet
	$(MAKE) -s -C Guests/privileged OUT=$(CURDIR)/.build/guests
	$(MAKE) -s -C Guests/smp OUT=$(CURDIR)/.build/guests
	$(MAKE) -s -C Guests/programs OUT=$(CURDIR)/.build/guests
	swift test -c release -Xswiftc -enable-testing --no-parallel --skip '$(GUEST_SUITES)'
	$(GUEST_TESTS) --skip-build --filter '$(GUEST_SUITES)'
	MARTLET_ORACLE_EXECUTIONS=$(EXECUTIONS) swift test -c release -Xswiftc -enable-testing \
	  --skip-build --filter everyFormAsOnTheHost
	swift test --package-path Fuzz -c release --disable-testable-imports
	swift test --package-path Benchmarks
	$(MAKE) --no-print-directory fuzz SECONDS=$(FUZZ_SECONDS)

# Installs only what is missing, and says what and why.
install-dependencies:
	@Tools/install-missing.sh "kernels: fetching and decompression; disks; networks" $(PACKAGES)

# Two of the packages go by the versions of python3 and gcc here.
install-test-dependencies: install-dependencies
	@Tools/install-missing.sh "disassembly oracle, programs to compare" $(TEST_PACKAGES)
	@Tools/install-missing.sh "a boot loader for guests" grub-xen-host e2fsprogs
	@Tools/install-missing.sh "Python's own tests, 32-bit programs" \
	  $$(/usr/bin/python3 -c 'import sys; print("libpython%d.%d-testsuite" % sys.version_info[:2])') \
	  lib32gcc-$$(gcc -dumpversion | cut -d. -f1)-dev

lint:
	swift format lint --strict --recursive --parallel $(SOURCES)

# Generated sources are checked in; they must be what the generators make.
check-generated:
	swift build --package-path Tools --scratch-path .build-tools
	.build-tools/debug/InstructionTableGenerator Tools/InstructionTable/x86.table Sources/X86 --check
	.build-tools/debug/HandlerTableGenerator Sources/SoftwareCPU
	git diff --exit-code --stat -- Sources/SoftwareCPU/IntegerTables.generated.swift

format:
	swift format --in-place --recursive --parallel $(SOURCES)

# Random bytes for the kernel loader, the decoder and the CPU, SECONDS for each. What breaks a
# promise is shrunk and written to Fuzz/FailCases, which `make test` runs again.
FUZZ_SECONDS ?= 60
fuzz: install-test-dependencies
	swift build --package-path Fuzz -c release --product fuzz
	Fuzz/.build/release/fuzz run --seconds $(SECONDS) --cases Fuzz/FailCases

# SECONDS of random instructions against the host's processor, in a process of their own.
SECONDS ?= 60
fuzz-cpu: install-test-dependencies
	MARTLET_ORACLE_SECONDS=$(SECONDS) swift test -c release -Xswiftc -enable-testing \
	  --filter everyFormAsOnTheHost

# OPERATIONS of frontends that play a hostile guest: rings, descriptors, grants, nodes of the store.
OPERATIONS ?= 10000000
fuzz-frontends: install-test-dependencies
	MARTLET_FRONTEND_OPERATIONS=$$(($(OPERATIONS) / 8)) swift test -c release \
	  -Xswiftc -enable-testing --no-parallel --filter 'FrontendFuzzTests'

# Martlet, QEMU's emulation and the host side by side: medians of ROUNDS, as ratios, and means. ONLY
# takes rows of Benchmarks/Sources/Comparison/Rows.swift, CPUS numbers of vCPUs, ENGINES of Martlet's:
# make bench ONLY=boot,integer CPUS=1 ENGINES=translator ROUNDS=1. Boots by numbers of vCPUs:
# make bench ONLY=boot CPUS=2,4,8,16,32,64
ROUNDS ?= 5
JSON ?= .build/bench.json
BENCH_PACKAGES = qemu-system-x86 gcc binutils libc6-dev bash coreutils python3 xz-utils gzip sqlite3 \
  openssl
bench: install-dependencies
	@Tools/install-missing.sh "the emulator to compare with, programs to measure" $(BENCH_PACKAGES)
	$(PRODUCT)
	swift build --package-path Benchmarks --product bench
	$(MAKE) -s -C Benchmarks/programs OUT=$(CURDIR)/Benchmarks/.build/programs
	@MARTLET=$(CURDIR)/.build/release/martlet PROGRAMS=$(CURDIR)/Benchmarks/.build/programs \
	  ROUNDS='$(ROUNDS)' ONLY='$(ONLY)' CPUS='$(CPUS)' ENGINES='$(ENGINES)' KERNEL='$(KERNEL)' \
	  JSON='$(JSON)' Benchmarks/.build/debug/bench

# The thread sanitizer over what many threads touch at once.
TSAN_TESTS = InterruptsTests|BusTests|ClocksTests|HostIOTests|NetworksTests|LegacyDevicesTests|TraceTests|SchedulerTests
tsan: install-test-dependencies
	swift test --sanitize=thread --scratch-path .build-tsan --filter '$(TSAN_TESTS)'

# cyclictest in the guest while every device is busy: threaded and inline interrupts, and QEMU's
# emulation. ROUNDS, CPUS, DURATION, LOAD=busy|idle and SIDES as Benchmarks/latency/latency.sh has them.
bench-latency: install-dependencies
	@Tools/install-missing.sh "cyclictest, the emulator to compare with" rt-tests qemu-system-x86 \
	  perl $(shell command -v busybox >/dev/null || echo busybox)
	$(PRODUCT)
	@MARTLET=$(CURDIR)/.build/release/martlet Benchmarks/latency/latency.sh

# iperf3 and fio in guests: Xen's backends here, virtio on QEMU's emulation. ROUNDS, CPUS, SECONDS_EACH,
# SIDES and ROWS as Benchmarks/devices/devices.sh has them.
bench-devices: install-dependencies
	@Tools/install-missing.sh "networks and disks to measure, the emulator to compare with" iperf3 fio \
	  qemu-system-x86 $(shell command -v busybox >/dev/null || echo busybox)
	$(PRODUCT)
	@MARTLET=$(CURDIR)/.build/release/martlet Benchmarks/devices/devices.sh

# What 16 vCPUs on few processors get done with directed yield and without. ROUNDS, CPUS, DURATION,
# LOADS, LOCKS and OPTIONS as Benchmarks/contention/contention.sh has them.
bench-yield: install-dependencies
	@Tools/install-missing.sh "loads that contend and that do not" rt-tests stress-ng gcc libc6-dev
	$(PRODUCT)
	$(MAKE) -s -C Benchmarks/programs OUT=$(CURDIR)/Benchmarks/.build/programs
	@MARTLET=$(CURDIR)/.build/release/martlet PROGRAMS=$(CURDIR)/Benchmarks/.build/programs \
	  Benchmarks/contention/contention.sh

# What computing threads get done beside threads whose memory the host has to fetch, by what the vCPU
# does meanwhile. ROUNDS, DURATION, SIDES, RESIDENT and others as Benchmarks/paging/paging.sh has them;
# RESIDENT=off with all of the memory there.
bench-paging: install-dependencies
	@Tools/install-missing.sh "a program that touches much memory" gcc libc6-dev
	$(PRODUCT)
	$(MAKE) -s -C Benchmarks/programs OUT=$(CURDIR)/Benchmarks/.build/programs
	@MARTLET=$(CURDIR)/.build/release/martlet PROGRAMS=$(CURDIR)/Benchmarks/.build/programs \
	  JSON="$${JSON:-.build/paging.json}" Benchmarks/paging/paging.sh

# How long it takes until a restored, forked or kept machine goes on. SIZES, ROUNDS and CLONES as
# Benchmarks/restore/restore.py has them.
bench-restore: install-dependencies
	@Tools/install-missing.sh "what measures" python3
	$(PRODUCT)
	@MARTLET=$(CURDIR)/.build/release/martlet Benchmarks/restore/restore.py

# Compilations with half of their memory at hand. SIDES, ROUNDS and others as Benchmarks/paging/compile.sh has them.
bench-compile: install-dependencies
	@Tools/install-missing.sh "programs to compile, and what compiles them" gcc libc6-dev binutils
	$(PRODUCT)
	@MARTLET=$(CURDIR)/.build/release/martlet Benchmarks/paging/compile.sh

# TRIES of each test of memory order between processors: some fifteen minutes on two cores.
TRIES ?= 100000000
litmus: build-for-guests
	MARTLET_LITMUS_TRIES=$(TRIES) $(GUEST_TESTS) --filter memoryOrderIsThatOfTheProcessor

# MINUTES of stress-ng in a guest whose processors come and go.
MINUTES ?= 60
soak: build-for-guests
	MARTLET_SOAK_MINUTES=$(MINUTES) $(GUEST_TESTS) --filter kernelUnderLoadAndHotplug

# ROUNDS of suspending a guest and going on with memory that is read as it is touched, which stress-ng checks.
soak-lazy: install-dependencies
	@Tools/install-missing.sh "a load that checks memory" stress-ng
	$(PRODUCT)
	@MARTLET=$(CURDIR)/.build/release/martlet ROUNDS=$(or $(ROUNDS),200) Tools/soak/lazy.sh

# CHECKPOINTS in a row under load, and CYCLES of suspending and going on in a new process.
CHECKPOINTS ?= 1000
CYCLES ?= 100
soak-power: build-for-guests
	MARTLET=$(CURDIR)/.build/release/martlet CHECKPOINTS=$(CHECKPOINTS) CYCLES=$(CYCLES) Tools/soak/power.sh

# KILLS of Martlet while a guest writes: no record that was flushed may be lost.
KILLS ?= 500
soak-kill: build-for-guests
	@Tools/install-missing.sh "file systems and images to check" e2fsprogs qemu-utils
	MARTLET=$(CURDIR)/.build/release/martlet KILLS=$(KILLS) Tools/soak/kill.sh

GUEST_TESTS = MARTLET_BINARY=$(CURDIR)/.build/release/martlet MARTLET_GUESTS=$(CURDIR)/.build/guests \
  swift test -c release -Xswiftc -enable-testing

build-for-guests: install-test-dependencies
	swift build -c release -Xswiftc -enable-testing --product martlet
	$(MAKE) -s -C Guests/smp OUT=$(CURDIR)/.build/guests

clean:
	rm -rf .build .build-tools .build-tsan Fuzz/.build Benchmarks/.build
