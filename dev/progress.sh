# These bash functions show progress: in place and with colour where standard output is a terminal, as plain lines elsewhere.
# NO_COLOR takes the colour away, TERM=dumb the rest.
#
#   progress_step 'a server starts'     # what is being done
#   progress_done                       # it is, and took so long
#   progress_bar 'building' 7 20        # in place, only where $LIVE is set
#   heading 'Refused readings:'

LIVE= BOLD= DIM= GREEN= RESET= CHECK='*' BAR_FULL='#' BAR_EMPTY='-'
if [ -t 1 ] && [ -n "${TERM:-}" ] && [ "$TERM" != dumb ]; then
    LIVE=1
    if [ -z "${NO_COLOR:-}" ]; then BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RESET=$'\e[0m'; fi
    case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in *UTF-8* | *utf-8* | *UTF8* | *utf8*) CHECK=✓ BAR_FULL=━ BAR_EMPTY=─ ;; esac
fi

# Prints without wrapping, because the next line would overwrite only the last of two lines that a narrow terminal made of one.
in_place() { printf "\e[?7l$1\e[?7h" "${@:2}"; }

progress_step() {
    STEP_TEXT=$1 STEP_BEGAN=${EPOCHREALTIME/./}
    if [ -n "$LIVE" ]; then in_place '  %s %s ...' "${DIM}-$RESET" "$STEP_TEXT"; else printf '%s\n' "$STEP_TEXT"; fi
}

progress_done() {
    local tenths=$(((${EPOCHREALTIME/./} - STEP_BEGAN) / 100000))
    if [ -n "$LIVE" ]; then
        in_place '\r\e[K  %s %s  %s\n' "$GREEN$CHECK$RESET" "$STEP_TEXT" "$DIM$((tenths / 10)).$((tenths % 10)) s$RESET"
    fi
}

progress_bar() {
    local width=30 full i bar=
    [ -n "$LIVE" ] || return 0
    full=$((width * $2 / $3))
    for ((i = 0; i < full; i++)); do bar+=$BAR_FULL; done
    bar=$GREEN$bar$RESET$DIM
    for (( ; i < width; i++)); do bar+=$BAR_EMPTY; done
    in_place '\r\e[K  %s %s  %s %d of %d' "${DIM}-$RESET" "$1" "$bar$RESET" "$2" "$3"
}

heading() { printf '%s%s%s\n\n' "$BOLD" "$*" "$RESET"; }

# Gives back the cursor and the wrapping of lines, because a signal may have stopped a drawing in the middle.
terminal_restore() {
    if [ -n "$LIVE" ]; then printf '\e[?7h\e[?25h'; fi
}
