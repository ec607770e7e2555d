# hone: one non-recursive Makefile. `make help` lists what it can do.

VERSION = 0.1.0
PREFIX  = /usr/local
DESTDIR =

# build/release is the default variant; asan, tsan and debug differ by flags only.
VARIANT = release
B       = build/$(VARIANT)
# The release variant leaves its programs at the top, where a first `./hone-train -h` looks for them.
BIN     = $(if $(filter release,$(VARIANT)),.,$(B))

PKGS    = openblas jansson libzstd libpcre2-8 libutf8proc libxxhash
DEPS    = build-essential pkg-config git libopenblas-openmp-dev libjansson-dev libzstd-dev libpcre2-dev \
          libutf8proc-dev libxxhash-dev libcmocka-dev bats jq zstd mandoc man-db
LINT_DEPS = clang-format clang-tidy cppcheck shellcheck valgrind

# The OpenMP build of OpenBLAS is named outright: another variant may be the system's default.
export PKG_CONFIG_PATH := $(PKG_CONFIG_PATH):$(firstword $(wildcard /usr/lib/*/openblas-openmp/pkgconfig))

CC      = gcc
OPT_release = -O3 -D_FORTIFY_SOURCE=2
OPT_debug   = -O0
OPT_asan    = -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_tsan    = -O1 -fsanitize=thread
OPT     = $(OPT_$(VARIANT))

WARN    = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wformat=2 \
          -Wvla -Wundef -Werror=implicit-function-declaration
HARDEN  = -fstack-protector-strong -fPIE
CFLAGS  = -g $(OPT)
CPPFLAGS =
LDFLAGS =
ALL_CFLAGS = -std=c11 -D_POSIX_C_SOURCE=200809L -D_FILE_OFFSET_BITS=64 -Ilib -fopenmp -ffp-contract=off \
          $(WARN) $(HARDEN) $(shell pkg-config --cflags $(PKGS)) $(CPPFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -fopenmp $(OPT) $(LDFLAGS)
LDLIBS  = $(shell pkg-config --libs $(PKGS)) -lm

# Which folder may use which: base < fmt < text; base < math; math, fmt < model < eval; tools use all.
# tests/layers.sh holds the includes against this order, which is also the order of linking.
LIBS    = eval model text math fmt base
LIB_SRC = $(foreach l,$(LIBS),$(wildcard lib/$(l)/*.c))
LIB_OBJ = $(LIB_SRC:%.c=$(B)/%.o)
LIB_A   = $(foreach l,$(LIBS),$(if $(wildcard lib/$(l)/*.c),$(B)/lib$(l).a))
TOOLS   = $(patsubst tools/%/,%,$(dir $(wildcard tools/*/main.c)))
PROGS   = $(TOOLS:%=$(BIN)/hone-%)
SCRIPTS = $(wildcard pipelines/hone-*)
UNIT    = $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
HELPERS = $(patsubst %.c,$(B)/%,$(wildcard tests/helpers/*.c))
MAN     = $(wildcard tools/*/*.1) $(wildcard docs/man/*.[157])

all: $(PROGS)

## help: list these targets
help:
	@sed -n 's/^## \([a-z._-]*\): /  make \1|/p' Makefile | column -t -s '|'

.SECONDEXPANSION:
$(PROGS): $(BIN)/hone-%: $$(addprefix $(B)/,$$(addsuffix .o,$$(basename $$(wildcard tools/$$*/*.c)))) $(LIB_A)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

$(foreach l,$(LIBS),$(eval $(B)/lib$(l).a: $(patsubst %.c,$(B)/%.o,$(wildcard lib/$(l)/*.c))))
$(B)/lib%.a:
	@rm -f $@
	ar rcs $@ $^

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# --version tells the commit; version.o is remade when it changes.
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
$(B)/lib/base/version.o: ALL_CFLAGS += -DHONE_VERSION='"$(VERSION)"' -DHONE_COMMIT='"$(COMMIT)"'
$(B)/lib/base/version.o: $(B)/commit-$(COMMIT)
$(B)/commit-$(COMMIT):
	@mkdir -p $(@D); rm -f $(B)/commit-*; touch $@

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIB_A)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(B)/tests/helpers/%: $(B)/tests/helpers/%.o $(LIB_A)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LDLIBS)

-include $(LIB_OBJ:.o=.d) $(wildcard $(B)/tools/*/*.d $(B)/tests/*/*.d)

.PHONY: all help
