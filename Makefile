# hone: one non-recursive Makefile. `make help` lists what it can do.

VERSION = 0.1.0
PREFIX  = /usr/local
DESTDIR =

# build/release is the default variant; debug, asan and tsan differ by flags, and tsan by the compiler.
VARIANT = release
# CROSS=aarch64-linux-gnu- builds for that machine with that compiler, from libraries of that architecture below SYSROOT.
CROSS   =
SYSROOT =
B       = build/$(CROSS)$(VARIANT)
# The release variant leaves its programs at the top, where a first `./hone-train -h` looks for them.
BIN     = $(if $(filter release,$(CROSS)$(VARIANT)),.,$(B))

PKGS    = openblas jansson libzstd libpcre2-8 libutf8proc libxxhash zlib
DEPS    = build-essential pkg-config git libopenblas-openmp-dev libjansson-dev libzstd-dev libpcre2-dev \
          libutf8proc-dev libxxhash-dev zlib1g-dev libcmocka-dev bats jq zstd xxhash mandoc man-db
ARM_DEPS = gcc-aarch64-linux-gnu qemu-user-static
LINT_DEPS = clang-format clang-tidy cppcheck shellcheck valgrind clang libomp-dev llvm

CC_tsan = clang
CC_fuzz = clang
CC      = $(or $(CC_$(VARIANT)),$(CROSS)gcc)
AR      = $(CROSS)ar
OPT_release = -O3 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
OPT_debug   = -O0
# Of a number that no integer of the type is, x86 and ARM make different ones.
OPT_asan    = -O1 -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=undefined,float-cast-overflow \
          -fno-omit-frame-pointer
# gcc's threads are not instrumented, and so every parallel loop is a race to it: clang with LLVM's OpenMP, which can say
# what waits for what.
OPT_tsan    = -O1 -fsanitize=thread -fno-omit-frame-pointer
# A null pointer plus nothing is no finding.
OPT_fuzz    = -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize=pointer-overflow -fno-sanitize-recover=undefined \
          -fno-omit-frame-pointer -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
OPT     = $(OPT_$(VARIANT))
# One thread when fuzzing, so that an input does the same every time: with this, clang leaves the pragmas alone.
OPENMP  = -fopenmp$(if $(filter fuzz,$(VARIANT)),=libgomp)

# Asked once, when the first recipe needs it and not while this file is read: `make deps check` installs
# the packages in between. The OpenMP build of OpenBLAS is named outright: another may be the system's default.
MACHINE    = $(eval MACHINE := $$(firstword $$(subst -, ,$$(shell $(CC) -dumpmachine))))$(MACHINE)
LIBDIR     = $(eval LIBDIR := $(SYSROOT)/usr/lib/$$(shell $(CC) -print-multiarch))$(LIBDIR)
PKG_CONFIG = pkg-config
PKG_PATHS  = PKG_CONFIG_PATH="$$PKG_CONFIG_PATH:$(LIBDIR)/openblas-openmp/pkgconfig" $(if $(CROSS), \
          PKG_CONFIG_LIBDIR=$(LIBDIR)/pkgconfig:$(SYSROOT)/usr/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=$(SYSROOT))
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell $(PKG_PATHS) $(PKG_CONFIG) --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell $(PKG_PATHS) $(PKG_CONFIG) --libs $(PKGS)))$(PKG_LIBS)

WARN    = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 \
          -Wno-missing-field-initializers -Wvla -Wundef -Werror=implicit-function-declaration
# Against what an overflow would be used for. A distribution says it all again in CFLAGS and LDFLAGS (debian/rules).
HARDEN_x86_64  = -fcf-protection
HARDEN_aarch64 = -mbranch-protection=standard
HARDEN  = -fPIE -fstack-protector-strong -fstack-clash-protection $(HARDEN_$(MACHINE))
HARDEN_LINK = -fPIE -pie -Wl,-z,relro,-z,now,-z,noexecstack
CFLAGS  = -g $(OPT)
CPPFLAGS =
LDFLAGS =
ALL_CFLAGS = $(SYSROOT:%=--sysroot=%) -std=c11 -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 -Ilib $(OPENMP) -ffp-contract=off \
          $(WARN) $(HARDEN) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(SYSROOT:%=--sysroot=%) $(HARDEN_LINK) $(OPENMP) $(OPT) $(LDFLAGS)
LDLIBS  = $(PKG_LIBS) -lm

# Which folder may use which: base < fmt < text; base < math; math, fmt < model; model, text < eval; tools use all.
# tests/layers.sh holds the includes against this order, which is also the order of linking.
LIBS    = eval model text math fmt base
LIB_SRC = $(foreach l,$(LIBS),$(wildcard lib/$(l)/*.c))
LIB_OBJ = $(LIB_SRC:%.c=$(B)/%.o)
LIB_A   = $(foreach l,$(LIBS),$(if $(wildcard lib/$(l)/*.c),$(B)/lib$(l).a))
TOOLS   = $(patsubst tools/%/,%,$(dir $(wildcard tools/*/main.c)))
PROGS   = $(BIN)/hone $(patsubst %,$(BIN)/hone-%,$(filter-out hone,$(TOOLS)))
SCRIPTS = $(filter-out %.1,$(wildcard pipelines/hone-*))
UNIT    = $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
BENCH   = $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
HELPERS = $(patsubst %.c,$(B)/%,$(wildcard tests/helpers/*.c))
FUZZ    = $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
MAN     = $(wildcard tools/*/*.1 pipelines/*.1 docs/man/*.[157])
DOCS    = $(wildcard README.md README.zh.md LICENSE docs/*.md docs/howto/*.md)
EXAMPLES = $(wildcard pipelines/retrain.conf pipelines/cron/* pipelines/example/Makefile)
UNITS   = $(wildcard pipelines/systemd/*)
C_SRC   = $(LIB_SRC) $(wildcard tools/*/*.c tests/unit/*.c tests/helpers/*.c tests/helpers/preload/*.c tests/bench/*.c tests/fuzz/*.c)
SHELL_SRC = .ci/run tools/completions tests/run pipelines/demo $(wildcard tests/*.sh tests/arm/*.sh tests/bench/*.sh tests/fuzz/*.sh) $(SCRIPTS)
BATS_SRC = $(wildcard tests/*/*.bats tests/*/*.bash)

# make V=1 shows the commands instead of these lines.
Q       = $(if $(V),,@)
SAY     = $(if $(V),@:,@printf '%-4s %s\n')

## all: the programs (default)
all: $(PROGS)

## help: list these targets
help:
	@sed -n 's/^## \([a-z._-]*\): /\1|/p' Makefile | awk -F '|' '{ printf "  make %-22s %s\n", $$1, $$2 }'

# ---- packages ----

SUDO    = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
INSTALL = installed() { [ "$$(dpkg-query -W -f '$${db:Status-Status}\n' "$$@" 2>/dev/null | grep -c '^installed$$')" = $$\# ]; }; \
	install() { installed "$$@" || { $(SUDO) apt-get update -q && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$$@"; }; }; install

## deps: install the Debian packages that build and check need (with sudo when not root)
deps:
	@$(INSTALL) $(DEPS)

## lint-deps: install those of lint, format and check-slow
lint-deps:
	@$(INSTALL) $(LINT_DEPS)

## arm-deps: install those of check-arm
arm-deps:
	@$(INSTALL) $(ARM_DEPS)

# With `make -j deps check`, too, nothing is compiled before the packages are there.
INSTALLED = $(filter deps lint-deps arm-deps,$(MAKECMDGOALS))

# ---- building ----

# Objects are remade when the flags change: the stamp holds those of the last build and is renewed only when they differ.
$(B)/flags: FORCE | $(INSTALLED)
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(LDLIBS))' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

.SECONDEXPANSION:
$(filter-out %/hone,$(PROGS)): $(BIN)/hone-%: $$(addprefix $(B)/,$$(subst .c,.o,$$(wildcard tools/$$*/*.c))) $(LIB_A)
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)
$(BIN)/hone: $(patsubst %.c,$(B)/%.o,$(wildcard tools/hone/*.c)) $(B)/libbase.a
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(foreach l,$(LIBS),$(eval $(B)/lib$(l).a: $(patsubst %.c,$(B)/%.o,$(wildcard lib/$(l)/*.c))))
$(B)/lib%.a:
	$(SAY) AR $@
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# Kernels may fuse a multiplication and an addition, and use all of a vector. The compiler does the same with a kernel
# every time, so results stay the same from run to run and for any number of threads. Nobody reads the flags of
# floating-point exceptions, so that both sides of a choice may be computed, nor what a square root says in errno.
KERNEL_FLAGS = -ffp-contract=fast -fno-trapping-math -fno-math-errno $(if $(filter x86_64,$(MACHINE)),-mprefer-vector-width=512)
$(B)/lib/math/%.o: ALL_CFLAGS += $(KERNEL_FLAGS)

# clang takes minutes to watch unrolled kernels, whose branches the input does not decide.
ifeq ($(VARIANT),fuzz)
$(B)/lib/math/%.o: OPT_fuzz = -O2
endif

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(ALL_CFLAGS) $(DEFINES) -MMD -MP -c -o $@ $<

# Where gcc keeps the locals of a function to find their use after its return, vectors of 64 bytes are not aligned.
$(filter build/asan/%,$(patsubst %.c,$(B)/%.o,$(wildcard lib/math/*.c tests/unit/test_math_*.c tests/unit/test_projection.c))): \
	CFLAGS += --param asan-use-after-return=0

# --version tells the commit, that of .commit in an archive without .git; version.o is remade when it changes.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || sed -n "s/^\([0-9a-f]\{12\}\).*/\1/p" .commit)
ifeq ($(COMMIT),)
COMMIT  := unknown
endif
$(B)/lib/base/version.o: DEFINES = -DHONE_VERSION='"$(VERSION)"' -DHONE_COMMIT='"$(COMMIT)"'
$(B)/lib/base/version.o: $(B)/commit-$(COMMIT)
$(B)/commit-$(COMMIT): | $(INSTALLED)
	@mkdir -p $(@D); rm -f $(B)/commit-*; touch $@

$(UNIT): $(B)/%: $(B)/%.o $(LIB_A)
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(HELPERS) $(BENCH): $(B)/%: $(B)/%.o $(LIB_A)
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)

# What makes calls of the C library fail (tests/helpers/preload/interpose.c), and the driver of it.
$(B)/tests/helpers/faults: $(patsubst %.c,$(B)/%.o,$(filter-out %/interpose.c,$(wildcard tests/helpers/preload/*.c))) $(B)/tests/helpers/interpose.so
$(B)/tests/helpers/interpose.so: tests/helpers/preload/interpose.c tests/helpers/preload/faults.h $(B)/flags
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(CC) -std=c11 -O1 -g -fPIC -shared $(WARN) -o $@ $<

# A fuzz target is linked with libFuzzer where there is clang, else with a main that runs the inputs it is given. Targets of
# tools take the objects of these.
FUZZ_TOOLS = fuzz_checkpoint=train fuzz_merge=merge fuzz_report=report fuzz_prepare=prepare fuzz_subject=eval fuzz_verify=verify
fuzz_tool = $(patsubst $(1)=%,%,$(filter $(1)=%,$(FUZZ_TOOLS)))
fuzz_objects = $(if $(call fuzz_tool,$(1)),$(patsubst %.c,$(B)/%.o,$(filter-out %/main.c,$(wildcard tools/$(call fuzz_tool,$(1))/*.c))))
$(B)/tests/fuzz/damage: $(B)/tests/fuzz/damage.o $(B)/tests/fuzz/fuzz.o $(patsubst %.c,$(B)/%.o,$(filter-out %/main.c,$(wildcard tools/train/*.c))) \
		$(LIB_A)
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--wrap=exit -o $@ $^ $(LDLIBS)
$(FUZZ): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/fuzz.o $$(call fuzz_objects,$$*) \
		$(if $(filter fuzz,$(VARIANT)),,$(B)/tests/fuzz/replay.o) $(LIB_A)
	$(SAY) LD $@
	$(Q)$(CC) $(ALL_LDFLAGS) -Wl,--wrap=exit,--as-needed $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer) -o $@ $^ $(LDLIBS)

# The products are measured beside oneDNN's where Debian's libdnnl-dev (2.x) is installed; nothing else uses it.
ONEDNN  = $(shell grep -s 'MAJOR 2$$' $(SYSROOT)/usr/include/oneapi/dnnl/dnnl_version.h)
$(B)/tests/bench/products.o $(B)/tests/bench/train.o: DEFINES = $(if $(ONEDNN),-DHAVE_ONEDNN)
$(B)/tests/bench/products $(B)/tests/bench/train: LDLIBS += $(if $(ONEDNN),-ldnnl)

# ---- testing ----

RUN_TESTS = tests/run -b $(BIN) -o $(B) $(if $(filter asan tsan,$(VARIANT)),-t 1800)

## demo: train, adapt, evaluate, merge and use a small model on data that any Debian has
demo: all
	$(if $(filter .,$(BIN)),,HONE_BIN=$(BIN) )pipelines/demo

## check: build, and run the unit, command-line and reference tests (two to three minutes on two cores)
check: all tests
	@$(RUN_TESTS)
tests: $(UNIT) $(HELPERS) $(FUZZ) $(B)/tests/fuzz/damage

## check-slow: check; the same on one processor; the longer tests, some under valgrind
check-slow: check
	@taskset -c 0 $(RUN_TESTS)
	@$(RUN_TESTS) -t 1200 tests/slow/*.bats

## asan: check, all of it built with AddressSanitizer and UndefinedBehaviorSanitizer
asan:
	@tests/sanitized asan $(MAKE) --no-print-directory VARIANT=asan check

# A race that is there must be found, and one that is not, not, before that there are none means anything.
## tsan: check, all of it built with ThreadSanitizer
tsan:
	@$(MAKE) --no-print-directory VARIANT=tsan build/tsan/tests/helpers/race
	@tests/sanitized tsan build/tsan/tests/helpers/race >/dev/null
	@! tests/sanitized tsan build/tsan/tests/helpers/race twice >/dev/null
	@tests/sanitized tsan $(MAKE) --no-print-directory VARIANT=tsan check

# Not under QEMU: what loads a library before all others (faults), and what would take hours. It is told a processor that there
# is, so that OpenBLAS has kernels for it.
ARM       = CROSS=aarch64-linux-gnu- SYSROOT=$(CURDIR)/build/arm64
ARM_B     = build/aarch64-linux-gnu-release
ARM_TESTS = $(filter-out $(patsubst %,tests/%.bats,cli/faults cli/experiment cli/recipes reference/eval), \
          $(wildcard tests/reference/*.bats tests/cli/*.bats)) $(wildcard tests/unit/test_*.c)
## check-arm: check, all of it built for 64-bit ARM and run by QEMU (the better part of an hour on two cores)
check-arm:
	@tests/arm/sysroot.sh build/arm64 $(filter %-dev,$(DEPS))
	@$(MAKE) --no-print-directory $(ARM) all tests
	@tests/arm/launchers.sh $(ARM_B) build/arm64
	@env -u OPENBLAS_CORETYPE QEMU_CPU=neoverse-n1 HONE_EMULATED=$(CURDIR)/$(ARM_B) tests/run -b $(ARM_B)/emulated -o $(ARM_B)/emulated -t 1800 $(ARM_TESTS)

FUZZ_SECONDS = 60
FUZZ_OUT = build/fuzz
## fuzz: each fuzz target for FUZZ_SECONDS (60), built with clang; what is found is in build/fuzz/findings
fuzz:
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-targets
	@tests/fuzz/dicts.sh build/fuzz/tests/fuzz/dict
	@mkdir -p $(FUZZ_OUT)/corpus && zstd -dc tests/fuzz/corpus.tar.zst | tar -x -C $(FUZZ_OUT)/corpus
	@tests/fuzz/campaign.sh -o $(FUZZ_OUT) "$$(($(FUZZ_SECONDS) * $(words $(FUZZ)) / $$(nproc)))" "$$(nproc)"
fuzz-targets: $(FUZZ)

# ---- measuring ----

## bench: how fast text becomes tokens, models train, and text is generated
bench: all $(BENCH)
	@tests/bench/tokenize.sh -b $(BIN) -o $(B)
	@tests/bench/train.sh -o $(B)

# ---- reading the sources ----

# In bats, each test is a subshell (SC2030, SC2031) in which a failed cd ends the test (SC2164); `run` and `load` set
# variables that shellcheck does not see (SC2034, SC2154).
BATS_OK = SC2030,SC2031,SC2164,SC2034,SC2154

## lint: layers, shellcheck, cppcheck, clang-tidy, man pages
lint: compile_commands.json
	tests/layers.sh
	shellcheck $(SHELL_SRC)
	shellcheck -s bats -S warning -e $(BATS_OK) $(BATS_SRC)
	cppcheck -q --std=c11 -Ilib --include=/usr/include/jansson.h --suppressions-list=.cppcheck-suppressions --error-exitcode=1 \
		--enable=warning,portability,performance lib tools tests/helpers tests/fuzz
	@printf '%s\n' $(filter-out tests/unit/%,$(C_SRC)) | xargs -P "$$(nproc)" -n 4 clang-tidy --quiet -p .
	$(if $(MAN),mandoc -Tlint -Wwarning $(MAN))

ANALYZED = $(CC) $(filter-out -fopenmp,$(ALL_CFLAGS)) -O1

## analyze: the sources through gcc's -fanalyzer
analyze:
	@tests/analyze.sh .analyzer-exceptions '$(ANALYZED)' $(filter-out tests/unit/% tests/fuzz/% %/interpose.c,$(C_SRC))

## format: clang-format in place
format:
	clang-format -i $(C_SRC) $(wildcard lib/*/*.h tools/*/*.h tests/*/*.h)

## compile_commands.json: for clangd and clang-tidy
compile_commands.json: $(C_SRC) $(B)/flags
	@printf '%s\n' $(C_SRC) | jq -R --arg dir '$(CURDIR)' --arg cc '$(CC) $(ALL_CFLAGS)' \
		'{directory: $$dir, file: ., command: "\($$cc) -c \(.)"}' | jq -s . >$@

# ---- installing ----

## completions: for bash, zsh and fish, out of what the programs print with -h
completions: all
	@tools/completions $(B)/completions $(PROGS) $(SCRIPTS)

SHARE   = $(DESTDIR)$(PREFIX)/share
ZSH_DIR = zsh/site-functions
NAMES   = $(notdir $(PROGS) $(SCRIPTS))

## install: programs, man pages, completions and documentation under $(DESTDIR)$(PREFIX)
install: all completions
	install -d $(DESTDIR)$(PREFIX)/bin $(SHARE)/bash-completion/completions $(SHARE)/$(ZSH_DIR) $(SHARE)/fish/vendor_completions.d
	install $(PROGS) $(SCRIPTS) $(DESTDIR)$(PREFIX)/bin
	$(foreach m,$(MAN),install -D -m 644 $(m) $(SHARE)/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)) &&) :
	$(foreach d,$(DOCS),install -D -m 644 $(d) $(SHARE)/doc/hone/$(d:docs/%=%) &&) :
	install -d $(SHARE)/doc/hone/examples/demo.data $(SHARE)/doc/hone/examples/demo.model
	install -m 644 pipelines/demo.data/tickets.jsonl $(SHARE)/doc/hone/examples/demo.data
	install -m 644 pipelines/demo.model/* $(SHARE)/doc/hone/examples/demo.model
	install -D -m 644 pipelines/experiment.mk $(SHARE)/hone/experiment.mk
	$(foreach f,$(EXAMPLES),install -D -m 644 $(f) $(SHARE)/doc/hone/examples/$(f:pipelines/%=%) &&) :
	$(foreach u,$(UNITS),install -d $(DESTDIR)$(PREFIX)/lib/systemd/system && \
		sed 's|/usr/local/bin|$(PREFIX)/bin|' $(u) >$(DESTDIR)$(PREFIX)/lib/systemd/system/$(notdir $(u)) &&) :
	install -m 644 $(NAMES:%=$(B)/completions/bash/%) $(SHARE)/bash-completion/completions
	install -m 644 $(NAMES:%=$(B)/completions/zsh/_%) $(SHARE)/$(ZSH_DIR)
	install -m 644 $(NAMES:%=$(B)/completions/fish/%.fish) $(SHARE)/fish/vendor_completions.d

## uninstall: remove what install put there
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(NAMES))
	rm -f $(foreach m,$(MAN),$(SHARE)/man/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))
	rm -f $(NAMES:%=$(SHARE)/bash-completion/completions/%) $(NAMES:%=$(SHARE)/$(ZSH_DIR)/_%) \
		$(NAMES:%=$(SHARE)/fish/vendor_completions.d/%.fish)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(notdir $(UNITS)))
	rm -rf $(SHARE)/doc/hone $(SHARE)/hone

# ---- packages of hone ----

DEB_DEPS = debhelper lintian blhc fakeroot

## deb: build/deb/hone_VERSION_ARCH.deb of the last commit, and what blhc and lintian say of it
deb:
	@rm -rf build/deb && mkdir -p build/deb
	git archive --prefix=hone-$(VERSION)/ HEAD | tar -x -C build/deb
	cd build/deb/hone-$(VERSION) && DEB_BUILD_OPTIONS="nocheck parallel=$$(nproc)" dpkg-buildpackage -b -us -uc >../build.log 2>&1 || \
		{ tail -n 40 ../build.log; exit 1; }
	blhc --all build/deb/build.log
	lintian --fail-on error,warning build/deb/*.changes

## deb-deps: install the Debian packages that `make deb` needs besides
deb-deps:
	@$(INSTALL) $(DEB_DEPS)

## dist: build/hone-VERSION.tar.gz of the last commit
dist:
	@mkdir -p build
	git archive --prefix=hone-$(VERSION)/ -o build/hone-$(VERSION).tar.gz HEAD

## clean: remove all that was built
clean:
	rm -rf build compile_commands.json $(notdir $(PROGS))

-include $(LIB_OBJ:.o=.d) $(wildcard $(B)/tools/*/*.d $(B)/tests/*/*.d)

FORCE:
.DELETE_ON_ERROR:
.PHONY: demo all help deps lint-deps deb-deps arm-deps check tests check-slow check-arm asan tsan fuzz fuzz-targets bench lint analyze format install uninstall completions dist deb clean FORCE
