# SPDX-License-Identifier: Apache-2.0
# The workbench on a real (pseudo-)terminal: it starts, follows its size and gives the terminal back.
. "${srcdir:-.}/tests/lib.sh"
pty=$build/tests/pty
[ -x "$pty" ] || skip_all "no tests/pty: make check builds it"
export TERM=xterm-256color
esc=$(printf '\033')

# left DESC: the last run left the alternate screen again.
left() { like "$1" "$(cat "$tmp/screen")" "*$esc\\[\\?1049h*$esc\\[\\?1049l*"; }

ok "opens a model and quits" "$pty" "$tmp/screen" 'keys::quit\r' -- "$qslim" tui "$sample/digits"
left "leaves the alternate screen"
like "shows an operator of the model" "$(cat "$tmp/screen")" '*conv2d*'

ok "follows the size of the terminal" "$pty" "$tmp/screen" size:200x50 size:40x8 size:1x1 size:80x24 \
    'keys::quit\r' -- "$qslim" tui "$sample/digits"
ok "any view can be shown at once" "$pty" "$tmp/screen" keys:123456789 'keys::quit\r' -- "$qslim" tui "$sample/digits"

"$pty" "$tmp/screen" "keys:$(printf '\003')" -- "$qslim" tui "$sample/digits" 2>"$tmp/err"
status=$?
[ $status -eq 0 ] || [ $status -eq 130 ]
report $? "Ctrl-C quits, the terminal is as it was" || diag "status $status"

exits 143 "a termination signal ends it, the terminal is as it was" \
    "$pty" "$tmp/screen" signal:15 -- "$qslim" tui "$sample/digits"
left "leaves the alternate screen on a signal"

exits 1 "a missing model is said" "$pty" "$tmp/screen" -- "$qslim" tui "$tmp/none"
unlike "without the screen having been taken" "$(cat "$tmp/screen")" "*$esc\\[\\?1049h*"
done_testing
