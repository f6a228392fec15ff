# SPDX-License-Identifier: Apache-2.0
# Export, with paddle_lite_opt played by scripts that accept, refuse, crash and hang.
. "${srcdir:-.}/tests/cli/lib.sh"
model lite
mkdir "$tmp/bin"
PATH=$tmp/bin:$PATH

# opt SCRIPT: what paddle_lite_opt does from now on; $out is its --optimize_out.
opt() {
    {
        echo '#!/bin/sh'
        echo 'for a; do case $a in --optimize_out=*) out=${a#*=} ;; esac; done'
        echo "echo \"\$@\" >'$tmp/args'"
        printf '%s\n' "$1"
    } >"$tmp/bin/paddle_lite_opt"
    chmod +x "$tmp/bin/paddle_lite_opt"
}

opt 'echo "everything is fine"; echo 12345 >"$out.nb"'
ok "export that is accepted" "$qslim" export "$tmp/lite" -o "$tmp/a" --json
has_keys "has its keys" files opt
is "says so" "$(sed -n 's/^  "accepted": \(.*\),/\1/p' "$tmp/out")" true
is "and how large the file is" "$(sed -n 's/^  "nb_bytes": \([0-9]*\).*/\1/p' "$tmp/out")" 6
is "opt is asked for arm" "$(grep -c -e --valid_targets=arm "$tmp/args")" 1
is "with both files" "$(grep -c -e "--model_file=$tmp/a/model.pdmodel --param_file=$tmp/a/model.pdiparams" "$tmp/args")" 1
ok "the exported model opens" "$qslim" dump "$tmp/a"
like "with what Paddle-Lite wants put back" "$(cat "$tmp/out")" '*relu6*threshold=6*swish*beta=1*XShape: flat.out.xshape*'
ok "export for x86" "$qslim" export "$tmp/lite" -o "$tmp/x" --lite-target x86
is "opt is asked for x86" "$(grep -c -e --valid_targets=x86 "$tmp/args")" 1
refuses 1 "cannot write*it exists*" "an existing output" "$qslim" export "$tmp/lite" -o "$tmp/a"
ok "--force replaces it" "$qslim" export "$tmp/lite" -o "$tmp/a" --force

opt 'echo "some words"; echo "op swish is not supported" >&2; exit 1'
exits 1 "export that is refused" "$qslim" export "$tmp/lite" -o "$tmp/a" --force
like "says why" "$(cat "$tmp/err")" "qslim: paddle_lite_opt refuses '*op swish is not supported*"
is "in one line" "$(wc -l <"$tmp/err")" 1
is "an old .nb is not taken for a new one" "$(ls "$tmp/a")" "model.pdiparams
model.pdmodel"
opt 'kill -SEGV $$'
exits 1 "export that crashes" "$qslim" export "$tmp/lite" -o "$tmp/a" --force
like "says by which signal" "$(cat "$tmp/err")" "qslim: paddle_lite_opt refuses*signal 11*"
opt 'exit 0'
exits 1 "success without a file is none" "$qslim" export "$tmp/lite" -o "$tmp/a" --force
opt 'head -c 20000000 /dev/zero | tr "\0" "x"; printf "\033[2J\nlast words\n"; exit 3'
exits 1 "endless words" "$qslim" export "$tmp/lite" -o "$tmp/a" --force
like "end with the last" "$(cat "$tmp/err")" "*last words*"
is "and hold no control characters" "$(tr -d '\12\40-\176\200-\377' <"$tmp/err")" ""
# Ctrl-C while opt hangs, also when it does not listen to SIGTERM
for hang in 'exec sleep 20' 'trap "" TERM; sleep 3; echo done >"$out.late"'; do
    rm -f "$tmp/args"
    opt "$hang"
    "$qslim" export "$tmp/lite" -o "$tmp/a" --force >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    while [ ! -s "$tmp/args" ]; do sleep 0.05; done
    sleep 0.2
    kill -INT $pid
    status=0
    wait $pid || status=$?
    is "Ctrl-C ends a hanging opt" "$status" 130
    is "and not its own end" "$(ls "$tmp/a/model.late" 2>/dev/null)" ""
done
rm "$tmp/bin/paddle_lite_opt" "$tmp/args"
ok "--to paddle does not ask it" "$qslim" export "$tmp/lite" -o "$tmp/b" --to paddle
opt 'echo asked'
ok "even when it is there" "$qslim" export "$tmp/lite" -o "$tmp/b" --to paddle --force
is "it was not called" "$(ls "$tmp/args" 2>/dev/null)" ""
rm "$tmp/bin/paddle_lite_opt"
if command -v paddle_lite_opt >/dev/null 2>&1; then
    skip "it is installed" "without paddle_lite_opt"
else
    ok "without paddle_lite_opt" "$qslim" export "$tmp/lite" -o "$tmp/c"
    like "that is said" "$(cat "$tmp/err")" "qslim: warning: paddle_lite_opt*"
fi
refuses 2 "*" "no output" "$qslim" export "$tmp/lite"
refuses 1 "cannot open*" "no model" "$qslim" export "$tmp/none" -o "$tmp/d"
cp "$digits/model.pdmodel" "$tmp/alone.pdmodel"
refuses 1 "cannot read the weights*" "no parameters" "$qslim" export "$tmp/alone.pdmodel" -o "$tmp/d"
is "nothing was written" "$(ls -d "$tmp/d" 2>/dev/null)" ""
tidy "no unfinished files" "$tmp"
done_testing
