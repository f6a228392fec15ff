# SPDX-License-Identifier: Apache-2.0
# The harness itself: run-program must not lose a failure, whatever a program prints.
. "${srcdir:-.}/tests/lib.sh"

# program DESC SCRIPT WANT: the TAP made of the output of a program; comments left out.
program() {
    is "$1" "$(sh "$top/tests/run-program" sh -c "$2" 2>/dev/null | grep -v '^#')" "$3"
}

program "passed and failed tests keep their names" \
    'echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1' "ok 1 - a
not ok 2 - b
1..2"
program "a skipped test of cmocka is a skipped test" \
    'echo 1..2; echo not ok 1 \# SKIP a; echo ok 2 - b' "ok 1 - a # SKIP
ok 2 - b
1..2"
program "several groups become one plan" \
    'echo 1..1; echo ok 1 - a; echo 1..1; echo ok 1 - b' "ok 1 - a
ok 2 - b
1..2"
program "a program that dies fails the tests it did not reach" \
    'echo 1..2; echo ok 1 - a; kill -s ABRT $$' "ok 1 - a
not ok 2 - did not run, exit status 134
1..2"
program "a failure after the last test counts" \
    'echo 1..1; echo ok 1 - a; exit 23' "ok 1 - a
not ok 2 - exit status 23
1..2"
program "a silent program is one test that passes" 'exit 0' "ok 1 - exit status 0
1..1"
program "a silent program is one test that fails" 'exit 1' "not ok 1 - exit status 1
1..1"
program "exit status 77 is a skip" 'exit 77' "ok 1 - whole program # SKIP
1..1"
program "a skipped program stays one" 'echo "1..0 # SKIP no data"' "1..0 # SKIP no data"

like "exits tells a wrong status" "$(exits 3 x false)" "not ok * - x
*exit status 1, want 3*"
like "is tells a difference" "$(is x 1 2)" "not ok * - x
*got:  1*want: 2"
done_testing
