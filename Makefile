# Builds telemetry_cqrs with PGXS: `make`, `make install`, `make uninstall`, all with PG_CONFIG=... if wanted.
EXTENSION    = telemetry_cqrs
EXTVERSION   = $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" telemetry_cqrs.control)
MODULE_big   = telemetry_cqrs
SOURCES      = $(sort $(wildcard src/*.cpp src/*/*.cpp))
OBJS         = $(SOURCES:.cpp=.o)
# The scripts are the released install scripts, one for a fresh install, and an upgrade from each release (sql/extension/README.md).
DATA         = $(sort $(wildcard sql/released/$(EXTENSION)--*.sql))
RELEASES     = $(DATA:sql/released/$(EXTENSION)--%.sql=%)
SQL_PARTS    = sql/extension/assemble $(wildcard sql/extension/*.sql sql/extension/*/*.sql sql/extension/*/*/*.sql)
PAGE         = $(EXTENSION).page.html
DATA_built   = $(EXTENSION)--$(EXTVERSION).sql $(RELEASES:%=$(EXTENSION)--%--$(EXTVERSION).sql) $(PAGE)
EXTRA_CLEAN  = $(EXTENSION)--*.sql $(PAGE) $(OBJS:.o=.d) $(OBJS:.o=.bc)

# `make installcheck` needs a running server with the library preloaded; dev/test does this and more on a server of its own.
REGRESS       := $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS   = --load-extension=$(EXTENSION)
ISOLATION     := $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=$(EXTENSION)

PG_CONFIG   ?= pg_config
PGXS        := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error PG_CONFIG=$(PG_CONFIG) leads to no server headers: dev/setup --packages brings them, PG_CONFIG=... names another installation)
endif
SERVER_INCLUDES := -isystem $(shell $(PG_CONFIG) --includedir-server) -isystem $(shell $(PG_CONFIG) --includedir)

PG_CPPFLAGS  = -Isrc $(SERVER_INCLUDES) -DTELEMETRY_VERSION='"$(EXTVERSION)"' '-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CXXFLAGS  = -std=c++20 -fvisibility=hidden -Wall -Wextra -Wshadow
SHLIB_LINK   = -luv -lz -lcares -lhiredis -lssl -lcrypto -lstdc++ -Wl,-Bsymbolic -Wl,--version-script=src/exports.map

# DEBUG=1 builds injection points and optimises little. SANITIZE=1 builds for a server that runs with libasan preloaded, as `dev/test
# asan` starts it. WERROR=1 makes warnings errors, as in the tests.
ifdef DEBUG
PG_CXXFLAGS += -O1 -g -DTELEMETRY_INJECTION_POINTS
endif
ifdef SANITIZE
PG_CXXFLAGS += -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
SHLIB_LINK  += -fsanitize=address,undefined
endif
ifdef WERROR
PG_CXXFLAGS += -Werror
endif

# The server's makefile wants bitcode even where its clang is missing, and has decided before it returns.
SERVER_CLANG := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(shell command -v $(or $(CLANG),$(SERVER_CLANG)) 2>/dev/null),)
$(info clang not found: building without LLVM bitcode)
override with_llvm = no
endif

include $(PGXS)

# It also compiles bitcode without PG_CXXFLAGS.
COMPILE.cxx.bc = $(CLANG) -xc++ -Wno-ignored-attributes $(BITCODE_CXXFLAGS) -std=c++20 -fvisibility=hidden $(CPPFLAGS) -flto=thin -emit-llvm -c

%.o: CXXFLAGS += -MMD -MP
# This must come after the server's own flags, because with -fwrapv no overflow is an error.
%.o: CXXFLAGS += $(if $(SANITIZE),-fno-wrapv)
# The server's own flags are those of the compiler that built it.
%.o: CXXFLAGS += $(if $(findstring clang,$(shell $(CXX) --version)),-Wno-unknown-warning-option)
-include $(OBJS:.o=.d)
src/runtime/library_version.o src/runtime/library_version.bc: telemetry_cqrs.control

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PARTS) telemetry_cqrs.control
	sql/extension/assemble $(EXTVERSION) > $@
$(RELEASES:%=$(EXTENSION)--%--$(EXTVERSION).sql): $(EXTENSION)--%--$(EXTVERSION).sql: $(SQL_PARTS) telemetry_cqrs.control
	sql/extension/assemble $(EXTVERSION) $* > $@

# Workers answer GET / with it (web/README.md).
$(PAGE): web/dist/page.html
	cp $< $@

# The flags of a source of ours, one a line, for tools that read them as the compiler does.
.PHONY: compile-flags
compile-flags:
	@printf '%s\n' $(CPPFLAGS) $(CXXFLAGS)
