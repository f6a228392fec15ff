# SPDX-License-Identifier: Apache-2.0
# What the tests of the commands share, on top of tests/lib.sh.
. "${srcdir:-.}/tests/lib.sh"
digits=$sample/digits
maker=$build/tests/make-model

# model NAME: makes a model of tests/models.c; its folder is $tmp/NAME.
model() {
    [ -x "$maker" ] || skip_all "no tests/make-model: make check builds it"
    "$maker" "$1" "$tmp/$1" || exit 1
}

# key NAME [FILE]: the value of a top-level key of the JSON document that the last command printed.
key() { sed -n 's/^ "'"$1"'": \(.*[^,]\),\{0,1\}$/\1/p' "${2:-$tmp/out}"; }

# has_keys DESC KEY...: the last output is one JSON object with these keys at its top.
has_keys() {
    desc_=$1
    shift
    missing_=
    [ "$(head -n 1 "$tmp/out")" = "{" ] && [ "$(tail -n 1 "$tmp/out")" = "}" ] || missing_=" braces"
    for k_; do
        grep -q "^ \"$k_\": " "$tmp/out" || missing_="$missing_ $k_"
    done
    is "$desc_" "$missing_" ""
}

# rows_have DESC KEY...: the objects in the lists of the last output have these keys.
rows_have() {
    desc_=$1
    shift
    missing_=
    for k_; do
        grep -q "^   \"$k_\": " "$tmp/out" || missing_="$missing_ $k_"
    done
    is "$desc_" "$missing_" ""
}

# refuses STATUS GLOB DESC COMMAND [ARG]...: one line `qslim: ...` that matches and nothing on
# stdout. Wrong usage (2) may add a line that names the help.
refuses() {
    status_=$1 glob_=$2
    shift 2
    exits "$status_" "$@" || return 1
    said_=$(sed 1q "$tmp/err") more_=$(sed 1d "$tmp/err" | grep -v ' --help')
    # shellcheck disable=SC2254
    case $said_ in
    "qslim: "$glob_) ;;
    *) fail "$1: what it says" || diag "got:  $said_" && diag "want: qslim: $glob_"; return 1 ;;
    esac
    [ -z "$more_" ] && [ ! -s "$tmp/out" ]
    report $? "$1: says one line" || diag "$(cat "$tmp/err" "$tmp/out")"
}

# tidy DESC FOLDER: no unfinished files lie there.
tidy() { is "$1" "$(find "$2" -name '*.tmp.*' 2>/dev/null)" ""; }

sum_of() { sha256sum <"$1" | cut -c 1-64; }
