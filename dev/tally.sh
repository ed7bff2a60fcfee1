# Shell functions that run several test runners and add up their closing lines (`N passed, N failed`). For bash.
#
#   tally 'Debian 13' dev/matrix regress    # runs it, shows its output, and counts
#   tally_failure 'Debian 13'               # counts a runner that could not even start
#   tally_close                             # the closing line of all; its status is 0 when none failed

tally_passed=0 tally_failed=0 tally_failures=()

# A Ctrl-C goes to the runner too, which removes what it has made; then the script ends instead of starting the next runner.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# A runner that says nothing of its count, or that fails with a count of 0, counts as one failure. Call it with errexit set, and not
# where bash ignores errexit: a runner that is a shell function has it set again.
tally() {
    local name=$1 log status passed failed counts
    shift
    log=$(mktemp)
    set +e
    (set -e; "$@") 2>&1 | tee -i "$log"
    status=${PIPESTATUS[0]}
    set -e
    counts=$(sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1)
    rm -f "$log"
    read -r passed failed <<<"${counts:-0 0}"
    if [ "$failed" = 0 ] && { [ "$status" != 0 ] || [ -z "$counts" ]; }; then failed=1; fi
    tally_passed=$((tally_passed + passed))
    tally_failed=$((tally_failed + failed))
    if [ "$failed" != 0 ]; then tally_failures+=("$name"); fi
}

tally_failure() {
    tally_failed=$((tally_failed + 1))
    tally_failures+=("$1")
}

tally_close() {
    printf '\n'
    if [ "$tally_failed" != 0 ]; then printf 'failed in: %s\n' "$(IFS=,; printf '%s' "${tally_failures[*]}" | sed 's/,/, /g')"; fi
    printf '%d passed, %d failed\n' "$tally_passed" "$tally_failed"
    [ "$tally_failed" = 0 ]
}
