# Shell functions for throwaway PostgreSQL installations and clusters; dev/test, dev/demo and test/bench use them.
#
# Everything lives in one temporary folder, which is gone when the script ends, whatever ended it. The functions only read the system's
# own installation and clusters. Scripts that run at the same time do not see each other. In the order of use:
#
#   . dev/cluster.sh                        # from bash
#   scratch_open                            # makes $SCRATCH
#   installation_make                       # copies PostgreSQL there and installs the built extension into the copy:
#                                           #   $PG_BIN (first in PATH from now on), $PG_CONFIG, $PG_PGXS
#                                           # installation_copy FOLDER only copies
#   variant_make debug injection DEBUG=1    # a further copy, with a library built by other make variables: its pg_config
#   cluster_start main shared_preload_libraries=telemetry_cqrs max_wal_size=4GB
#   psql -c 'SELECT 1'                      # PGHOST, PGPORT, PGUSER, PGDATABASE now mean the cluster started last
#   as_server COMMAND...                    # as the user the servers run as, with no PG* variable set
#   cluster_stop main immediate             # or fast, the default; not needed before the end
#
# A script with work of its own at the end sets its own EXIT trap and calls scratch_close in it.
# With KEEP_SCRATCH=1 scratch_close leaves folder and clusters as they are.

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A server refuses to run as root, so root's servers run as postgres.
SERVER_USER=$(id -un)
if [ "$(id -u)" = 0 ]; then SERVER_USER=postgres; fi

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# --- the version of the server ----------------------------------------------------------------------------------------

# package_version PACKAGE prints the version that is installed, or else the one that apt would install; nothing where apt has none.
package_version() {
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p' | grep . ||
        apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([0-9].*\)/\1/p'
}

# Sets PG_VERSION, the major version that everything here is built for and tested with, and PG_SYSTEM_CONFIG, its pg_config:
#   1. PG_VERSION from the environment, or the version of the pg_config that PG_SYSTEM_CONFIG names there;
#   2. otherwise the highest supported version that is installed;
#   3. otherwise the highest that apt can install.
# On a machine where apt has no lists yet, both stay empty until dev/setup has run and the script calls this function again.
server_choose() {
    local supported='18 17 16 15' version
    PG_VERSION=${PG_VERSION:-}
    if [ -z "$PG_VERSION" ] && [ -x "${PG_SYSTEM_CONFIG:-}" ]; then
        PG_VERSION=$("$PG_SYSTEM_CONFIG" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
    fi
    for version in $supported; do
        if [ -z "$PG_VERSION" ] && [ -x "/usr/lib/postgresql/$version/bin/pg_config" ]; then PG_VERSION=$version; fi
    done
    for version in $supported; do
        if [ -z "$PG_VERSION" ] && [ -n "$(package_version "postgresql-server-dev-$version")" ]; then PG_VERSION=$version; fi
    done
    if [ -z "$PG_VERSION" ]; then return; fi
    [[ " $supported " == *" $PG_VERSION "* ]] || fail "PG_VERSION=$PG_VERSION is not supported: $supported are"
    PG_SYSTEM_CONFIG=${PG_SYSTEM_CONFIG:-/usr/lib/postgresql/$PG_VERSION/bin/pg_config}
}
server_choose

# --- the folder -------------------------------------------------------------------------------------------------------

scratch_open() {
    umask 022
    # Nothing could remove a folder that is made but not yet known, so a Ctrl-C meanwhile counts afterwards.
    local stopped=
    trap 'stopped=129' HUP
    trap 'stopped=130' INT
    trap 'stopped=143' TERM
    SCRATCH=$(trap '' HUP INT TERM; mktemp -d "${TMPDIR:-/tmp}/telemetry.XXXXXX") || fail "no temporary folder"
    trap scratch_close EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ -n "$stopped" ]; then exit "$stopped"; fi
    chmod 755 "$SCRATCH"
    if [ "$(id -un)" != "$SERVER_USER" ]; then chown "$SERVER_USER" "$SCRATCH"; fi
}

scratch_close() {
    if [ -n "${KEEP_SCRATCH:-}" ] || [ -z "${SCRATCH:-}" ]; then return; fi
    local pid_file program
    trap '' HUP INT TERM  # A second Ctrl-C must not stop the removal.
    # This stops the clusters of interrupted tests too, however deep they are.
    while IFS= read -r pid_file; do
        as_server "$PG_BIN/pg_ctl" -D "$(dirname "$pid_file")" -m immediate -s stop >/dev/null 2>&1 </dev/null || true
    done < <(find "$SCRATCH" -name postmaster.pid 2>/dev/null)
    # A server without a pid file yet, and an initdb, are found because they run a program of the copied installation.
    while IFS= read -r program; do
        program=${program#/proc/}
        kill -KILL "${program%/exe}" 2>/dev/null || true
    done < <(find /proc -mindepth 2 -maxdepth 2 -name exe -lname "$SCRATCH/*" 2>/dev/null)
    cd /
    # A process that a test left running may still write a file.
    rm -rf "$SCRATCH" 2>/dev/null || { sleep 1; rm -rf "$SCRATCH"; }
    SCRATCH=
}

# --- the server's user ------------------------------------------------------------------------------------------------

as_server() {
    local clean=(env) name
    for name in $(compgen -v PG); do
        case $name in PG_BIN | PG_CONFIG | PG_PGXS | PG_SYSTEM_CONFIG | PG_VERSION) ;; *) clean+=(-u "$name") ;; esac
    done
    if [ "$(id -un)" = "$SERVER_USER" ]; then
        (cd "$SCRATCH" && "${clean[@]}" "$@")
    else
        (cd "$SCRATCH" && runuser -u "$SERVER_USER" -- "${clean[@]}" "$@")
    fi
}

# --- the installation -------------------------------------------------------------------------------------------------

# PostgreSQL finds its files relative to its binary, so a copy of its two folders is an installation of its own.
# The includes are linked: nothing is ever installed into them.
installation_make() {
    installation_copy "$SCRATCH/installation"
    extension_install "$PROJECT"
}

installation_copy() {
    local version=$PG_VERSION root=$1
    [ -x "${PG_SYSTEM_CONFIG:-}" ] || fail "PostgreSQL $version is missing: run dev/setup first"
    mkdir -p "$root/lib/postgresql" "$root/share/postgresql" "$root/include"
    cp -a "$("$PG_SYSTEM_CONFIG" --bindir)/.." "$root/lib/postgresql/$version"
    cp -a "$("$PG_SYSTEM_CONFIG" --sharedir)" "$root/share/postgresql/$version"
    ln -s "$("$PG_SYSTEM_CONFIG" --pkgincludedir)" "$root/include/postgresql"
    PG_BIN=$root/lib/postgresql/$version/bin
    PG_CONFIG=$PG_BIN/pg_config
    PG_PGXS=$root/lib/postgresql/$version/lib/pgxs
    PATH=$PG_BIN:$PATH
}

# variant_make NAME WORD VARIABLE=VALUE... makes an installation of its own in $SCRATCH/NAME. These make variables build its extension
# from a copy of the sources in build/NAME, whose objects stay for the next time. Sources that do not hold WORD keep the objects of the
# ordinary build; "" for none. Prints its pg_config, and leaves the current installation the current one.
variant_make() (
    build=$PROJECT/build/$1 log=$SCRATCH/$1.log word=$2
    installation_copy "$SCRATCH/$1"
    shift 2
    mkdir -p "$build"
    flock "$PROJECT/build/.lock" sh -ec '
        project=$1 build=$2 word=$3; shift 3
        find "$build" -name "*.[ch]pp" -delete
        rm -rf "$build/sql"
        (cd "$project" && find Makefile telemetry_cqrs.control sql src web/dist -type f ! -name "*.o" ! -name "*.bc" ! -name "*.d") |
            (cd "$project" && xargs cp -p --parents -t "$build")
        if [ -n "$word" ]; then
            (cd "$project" && grep -rL --include="*.cpp" "$word" src | sed "s/cpp\$/o/" | xargs cp -p --parents -t "$build")
        fi
        exec make -C "$build" -s -j2 install with_llvm=no "$@"' - "$PROJECT" "$build" "$word" PG_CONFIG="$PG_CONFIG" "$@" >"$log" 2>&1 ||
        { cat "$log" >&2; fail "building the variant ${build##*/} failed"; }
    printf '%s\n' "$PG_CONFIG"
)

# Installs the extension built in FOLDER into the copy; builds it there when it is not up to date.
extension_install() {
    local folder=$1 log=$SCRATCH/install.log
    mkdir -p "$PROJECT/build"
    flock "$PROJECT/build/.lock" make -C "$folder" -s -j2 install with_llvm=no PG_CONFIG="$PG_CONFIG" >"$log" 2>&1 ||
        { cat "$log" >&2; fail "make install failed in $folder"; }
}

# --- clusters ---------------------------------------------------------------------------------------------------------

# The program that starts as the server, when it is not the installation's own.
SERVER_PROGRAM=

# cluster_start NAME [SETTING=VALUE...] starts a new cluster with superuser postgres and a Unix socket only. With
# listen_addresses=127.0.0.1 and port=NUMBER it also takes TCP connections, by password; no role has one yet.
cluster_start() {
    local name=$1 home=$SCRATCH/$1 setting port=5432
    shift
    as_server mkdir "$home" || fail "the cluster $name is there already"
    as_server "$PG_BIN/initdb" -D "$home/data" -U postgres -A trust --locale=C.UTF-8 --encoding=UTF8 --no-sync \
        >"$SCRATCH/initdb.log" 2>&1 || { cat "$SCRATCH/initdb.log" >&2; fail "initdb failed"; }
    {
        printf "%s\n" "listen_addresses = ''" "unix_socket_directories = '$home'" "lc_messages = 'C'" \
            "log_line_prefix = '%m [%p] %b %d '" "timezone = 'UTC'"
        for setting in "$@"; do printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}"; done
    } | as_server tee -a "$home/data/postgresql.conf" >/dev/null
    for setting in "$@"; do
        case $setting in port=*)
            port=${setting#*=}
            printf 'local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n' |
                as_server tee "$home/data/pg_hba.conf" >/dev/null
            ;;
        esac
    done
    as_server "$PG_BIN/pg_ctl" -D "$home/data" -l "$home/log" -p "${SERVER_PROGRAM:-$PG_BIN/postgres}" -w -t 300 -s start >&2 ||
        { cluster_log "$name" >&2; fail "the cluster $name did not start"; }
    export PGHOST=$home PGPORT=$port PGUSER=postgres PGDATABASE=postgres
}

# cluster_stop NAME [fast | immediate | smart] stops a cluster.
cluster_stop() {
    as_server "$PG_BIN/pg_ctl" -D "$SCRATCH/$1/data" -m "${2:-fast}" -w -t 300 -s stop
}

# cluster_log NAME [LINES] prints the end of the server's log.
cluster_log() {
    tail -n "${2:-40}" "$SCRATCH/$1/log"
}
