# client_build OUTPUT SOURCE... builds one of our client programs (C++20, libpq) when a source or header is newer. It is for bash, after
# dev/cluster.sh. Scripts that run at the same time may build the same program, because each moves a finished one into place.
client_build() {
    local output=$1 newer
    shift
    mkdir -p "$(dirname "$output")"
    if [ -x "$output" ]; then
        newer=$(find "$(dirname "$1")" "$PROJECT/dev/client" \( -name '*.?pp' -o -name build.sh \) -newer "$output" -print -quit)
        [ -n "$newer" ] || return 0
    fi
    "${CXX:-g++}" -O2 -std=c++20 -Wall -Wextra -Wshadow -pthread -I"$PROJECT/dev/client" -isystem "$("$PG_SYSTEM_CONFIG" --includedir)" \
        "$@" -L"$("$PG_SYSTEM_CONFIG" --libdir)" -lpq -o "$output.$$" || { rm -f "$output.$$"; fail "could not build $output"; }
    mv -f "$output.$$" "$output"
}
