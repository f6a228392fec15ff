# SPDX-License-Identifier: Apache-2.0
# Shell TAP library. A test starts with
#     . "${srcdir:-.}/tests/lib.sh"
# ends with `done_testing`, and may be run by hand from the top of a build folder:
#     srcdir=.. sh ../tests/cli/info.t
#
# After sourcing: $top is the source, $qslim the built program, $sample the sample folder, $tmp an
# empty folder that goes away; nothing outside $tmp is written. Descriptions come first everywhere.

top=$(cd "${srcdir:-.}" && pwd) || exit 1
build=$(pwd)
qslim=${QSLIM:-$build/qslim}
sample=$top/sample
tmp=$(mktemp -d "${TMPDIR:-/tmp}/qslim-test.XXXXXX") || exit 1
trap 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# Every test sees the same world: own store and settings, English, no colours.
export QSLIM_DB="$tmp/runs.db" XDG_CONFIG_HOME="$tmp/config" XDG_DATA_HOME="$tmp/data" LC_ALL=C.UTF-8
unset LANGUAGE QSLIM_CPU

n_tests=0
n_failed=0

# report STATUS DESC: one TAP line, status 0 is ok.
report() {
    n_tests=$((n_tests + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n_tests - $2"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $n_tests - $2"
        return 1
    fi
}

pass() { report 0 "$1"; }
fail() { report 1 "$1"; }

# diag TEXT: comment lines that go into the log.
diag() { printf '%s\n' "$1" | sed 's/^/# /'; }

# ok DESC COMMAND [ARG]...: the command succeeds. Its output is in $tmp/out and $tmp/err.
ok() { exits 0 "$@"; }

# exits STATUS DESC COMMAND [ARG]...
exits() {
    want_=$1 desc_=$2
    shift 2
    got_=0
    "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || got_=$?
    [ "$got_" -eq "$want_" ]
    report $? "$desc_" && return 0
    diag "$*"
    diag "exit status $got_, want $want_"
    diag "$(tail -n 20 "$tmp/err")"
    return 1
}

# is DESC GOT WANT: equal texts.
is() {
    [ "$2" = "$3" ]
    report $? "$1" && return 0
    diag "got:  $2"
    diag "want: $3"
    return 1
}

# like DESC TEXT GLOB / unlike DESC TEXT GLOB: the whole text matches the shell pattern.
like() {
    # shellcheck disable=SC2254
    case $2 in $3) pass "$1" ;; *) fail "$1" || { diag "got:  $2"; diag "want: $3"; return 1; } ;; esac
}
unlike() {
    # shellcheck disable=SC2254
    case $2 in $3) fail "$1" || { diag "got:      $2"; diag "want not: $3"; return 1; } ;; *) pass "$1" ;; esac
}

# skip REASON DESC: one test that cannot be made here.
skip() {
    n_tests=$((n_tests + 1))
    echo "ok $n_tests - $2 # SKIP $1"
}

# skip_all REASON: ends the script; nothing was tested.
skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

# need PROGRAM...: ends the script when one is missing.
need() {
    for p_; do
        command -v "$p_" >/dev/null 2>&1 || skip_all "no $p_ here"
    done
}

done_testing() {
    echo "1..$n_tests"
    exit 0
}
