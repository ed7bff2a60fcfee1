#!/usr/bin/env bash
# The Debian package is built, installed, used by a server, and purged without leaving a file. It is also installed over an older one
# beside a running server.
#
# The test does not change the machine. dpkg works on a folder of its own (--root), which holds a copy of PostgreSQL and a database of
# packages; an ordinary user runs it under fakeroot. The test asks the machine's real database, without installing, whether the machine
# has the packages that ours depends on.
set -euo pipefail
cd "$(dirname "$0")/../.."
. dev/cluster.sh

tests=0 status=0
ok() {
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then echo "ok $tests - $2"; else echo "not ok $tests - $2" && status=1; fi
}
is() {
    if [ "$1" = "$2" ]; then
        ok 0 "$3"
    else
        ok 1 "$3"
        printf '# found:\n%s\n# wanted:\n%s\n' "$1" "$2" | sed 's/^\([^#]\)/#   \1/'
    fi
}

package=postgresql-$PG_VERSION-telemetry-cqrs
scratch_open
debs=$SCRATCH/debs root=$SCRATCH/root
deb=$(dev/package --built "$debs" 2>"$SCRATCH/package.log") || { cat "$SCRATCH/package.log" >&2; fail 'dev/package failed'; }

# --- its description

version=$(sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" telemetry_cqrs.control)
is "$(dpkg-deb -f "$deb" Package)" "$package" 'its name'
is "$(dpkg-deb -f "$deb" Version)" "$version" 'its version is the one in the control file'
is "$(dpkg-deb -f "$deb" Depends | tr ',' '\n' | grep -c "^ *postgresql-$PG_VERSION\$")" 1 'it depends on its server'
is "$(dpkg-deb --ctrl-tarfile "$deb" | tar -t | grep -E 'inst$|rm$' || true)" '' 'it has no script that could change a cluster'
is "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" '' 'it is not installed on this machine'
missing=$(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/^ *//; s/ .*//' | while read -r name; do
    dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || echo "$name"
done)
is "$missing" '' 'this machine has what it depends on'

# --- its files

contents=$(dpkg-deb --fsys-tarfile "$deb" | tar -t | sed -n 's/^\.\(.*[^/]\)$/\1/p' | sort)
is "$(grep -v -e '/bitcode/' -e '/extension/telemetry_cqrs--' <<<"$contents")" "/usr/lib/postgresql/$PG_VERSION/lib/telemetry_cqrs.so
/usr/share/doc/$package/README.Debian
/usr/share/doc/$package/README.md.gz
/usr/share/doc/$package/changelog.Debian.gz
/usr/share/doc/$package/changelog.gz
/usr/share/doc/$package/copyright
/usr/share/postgresql/$PG_VERSION/extension/telemetry_cqrs.control
/usr/share/postgresql/$PG_VERSION/extension/telemetry_cqrs.page.html" 'library, control file, page, documents and nothing else beside scripts and bitcode'
ok "$(grep -qx "/usr/share/postgresql/$PG_VERSION/extension/telemetry_cqrs--$version.sql" <<<"$contents"; echo $?)" 'the script of its version'
if command -v "$(sed -n 's/^CLANG *= *//p' "$("$PG_SYSTEM_CONFIG" --pgxs | xargs dirname)/../Makefile.global")" >/dev/null; then
    ok "$(grep -qx "/usr/lib/postgresql/$PG_VERSION/lib/bitcode/telemetry_cqrs.index.bc" <<<"$contents"; echo $?)" 'bitcode'
fi
is "$(dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/share/doc/$package/copyright" | sed '1,/^License/d; s/^ //; s/^\.$//')" "$(cat LICENSE)" \
    'the licence is ours, word for word'
ok "$(dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/share/doc/$package/README.Debian" | grep -c shared_preload_libraries >&2; echo $?)" \
    'README.Debian tells of preloading'

# --- installed, used, purged

mkdir -p "$root/usr" "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
installation_copy "$root/usr"
# The machine may have the extension by `make install`, but the copy must not.
find "$root/usr" -name 'telemetry_cqrs*' -prune -exec rm -rf {} +
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(fakeroot); fi
# dpkg wants the programs of an administrator in its PATH.
dpkg_in() { PATH=$PATH:/usr/sbin:/sbin "${as_root[@]}" dpkg --force-not-root --force-depends --root="$root" --log="$SCRATCH/dpkg.log" "$@" >"$SCRATCH/dpkg" 2>&1; }
files_in() { (cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | sort); }

before=$(files_in)
dpkg_in --install "$deb" || { cat "$SCRATCH/dpkg" >&2; fail 'dpkg --install failed'; }
is "$(dpkg-query --root="$root" -W -f '${db:Status-Status}' "$package")" installed 'dpkg installs it'

cluster_start package shared_preload_libraries=telemetry_cqrs
query() { psql -XAtq -v ON_ERROR_STOP=1 -c "$1"; }
query 'CREATE EXTENSION telemetry_cqrs'
is "$(query "SELECT extversion FROM pg_extension WHERE extname = 'telemetry_cqrs'")" "$version" 'CREATE EXTENSION takes it'
is "$(query "SELECT source FROM pg_extension_update_paths('telemetry_cqrs') WHERE target = '$version' AND path IS NULL")" '' \
    'there is a way from each version to it'
is "$(query "SELECT status FROM telemetry.ingest_telemetry('d', '2026-01-01 00:00+00', 20, 40, 'k')")" accepted 'it takes a reading'
# The worker applies the reading by itself.
for ((i = 0; i < 1200; i++)); do
    found=$(query 'SELECT device_id, sample_count, avg_temperature FROM telemetry.device_stats')
    [ -z "$found" ] || break
    sleep 0.1
done
is "$found" 'd|1|20' 'its worker applies it'
is "$(query "SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SELECT count(*) FROM telemetry.measurements")" 1 'a query may use the bitcode'
query 'DROP EXTENSION telemetry_cqrs'
cluster_stop package

dpkg_in --purge "$package" || { cat "$SCRATCH/dpkg" >&2; fail 'dpkg --purge failed'; }
is "$(files_in)" "$before" 'purged, it leaves no file'
is "$(dpkg-query --root="$root" -W 2>/dev/null)" '' 'and no entry'

# --- over an older one, the server running

# The older package has the scripts of the release before, and a file that ours lacks.
release=$(ls sql/released | sed -n 's/^telemetry_cqrs--\(.*\)\.sql$/\1/p' | sort -V | tail -n 1)
dpkg-deb -R "$deb" "$SCRATCH/older"
(
    cd "$SCRATCH/older"
    sed -i "s/^Version: .*/Version: $release/" DEBIAN/control
    rm DEBIAN/md5sums usr/share/postgresql/"$PG_VERSION"/extension/telemetry_cqrs--*"$version".sql
    sed -i "s/^default_version.*/default_version = '$release'/" "usr/share/postgresql/$PG_VERSION/extension/telemetry_cqrs.control"
    touch "usr/share/postgresql/$PG_VERSION/extension/telemetry_cqrs--older.sql"
)
dpkg-deb --root-owner-group -b "$SCRATCH/older" "$SCRATCH/older.deb" >/dev/null
dpkg_in --install "$SCRATCH/older.deb" || { cat "$SCRATCH/dpkg" >&2; fail 'dpkg --install of the older one failed'; }
cluster_start updated
query 'CREATE EXTENSION telemetry_cqrs'
is "$(query "SELECT extversion FROM pg_extension WHERE extname = 'telemetry_cqrs'")" "$release" 'an older package makes an older extension'
query "SELECT telemetry.ingest_telemetry('d', '2026-01-01 00:00+00', 20, 40, 'k')" >/dev/null
dpkg_in --install "$deb" || { cat "$SCRATCH/dpkg" >&2; fail 'dpkg --install over the older one failed'; }
is "$(dpkg-query --root="$root" -W -f '${Version} ${db:Status-Status}' "$package")" "$version installed" 'dpkg installs ours over it'
is "$(find "$root" -name '*--older.sql' -o -name '*.dpkg-*' | grep -v /var/lib/dpkg/ || true)" '' 'what only the older one had is gone'
query 'ALTER EXTENSION telemetry_cqrs UPDATE'
is "$(query "SELECT extversion FROM pg_extension WHERE extname = 'telemetry_cqrs'")" "$version" 'ALTER EXTENSION UPDATE finds its script'
is "$(query "SELECT status FROM telemetry.ingest_telemetry('d', '2026-01-01 00:00+00', 20, 40, 'k')")" duplicate 'and the readings are there'
cluster_stop updated
dpkg_in --purge "$package" || { cat "$SCRATCH/dpkg" >&2; fail 'dpkg --purge failed'; }
is "$(files_in)" "$before" 'purged, it leaves no file'

echo "1..$tests"
exit $status
