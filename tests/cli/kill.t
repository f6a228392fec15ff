# SPDX-License-Identifier: Apache-2.0
# kill -9 at many moments of a run: the output is the old one or the new one, the store opens, and
# no run looks finished that is not.
. "${srcdir:-.}/tests/cli/lib.sh"
model large
times=${QSLIM_KILLS:-25}

"$qslim" quantize "$tmp/large" -o "$tmp/old" --weight-bits 16 --no-store --quiet >/dev/null
"$qslim" quantize "$tmp/large" -o "$tmp/new" --no-store --quiet >/dev/null
old_params=$(sum_of "$tmp/old/quantized_model/model.pdiparams")
new_params=$(sum_of "$tmp/new/quantized_model/model.pdiparams")
old_program=$(sum_of "$tmp/old/quantized_model/model.pdmodel")
new_program=$(sum_of "$tmp/new/quantized_model/model.pdmodel")
start=$(date +%s%N)
"$qslim" quantize "$tmp/large" -o "$tmp/new" --force --quiet --db "$tmp/time.db" >/dev/null
whole=$((($(date +%s%N) - start) / 1000)) # microseconds of an undisturbed run

half=0 closed=0 liars=0 killed=0
i=0
while [ $i -lt "$times" ]; do
    i=$((i + 1))
    rm -rf "$tmp/o" && cp -r "$tmp/old" "$tmp/o"
    "$qslim" quantize "$tmp/large" -o "$tmp/o" --force --quiet >/dev/null 2>&1 &
    pid=$!
    sleep "$(awk -v w=$whole -v i=$i -v n="$times" 'BEGIN { printf "%.6f", w * 1.1 * i / n / 1e6 }')"
    kill -9 $pid 2>/dev/null
    status=0
    wait $pid 2>/dev/null || status=$?
    [ $status -eq 137 ] && killed=$((killed + 1))
    program=$(sum_of "$tmp/o/quantized_model/model.pdmodel")
    params=$(sum_of "$tmp/o/quantized_model/model.pdiparams")
    [ "$params" = "$old_params" ] || [ "$params" = "$new_params" ] || half=$((half + 1))
    [ "$program" = "$old_program" ] || [ "$program" = "$new_program" ] || half=$((half + 1))
    "$qslim" runs --csv >"$tmp/list" 2>"$tmp/err" || closed=$((closed + 1))
    # a run that says done has both new files in place
    if [ "$(sed -n '2s/^[0-9]*,\([a-z]*\),.*/\1/p' "$tmp/list")" = done ] && [ "$(sed 1d "$tmp/list" | wc -l)" -eq $i ]; then
        [ "$program$params" = "$new_program$new_params" ] || liars=$((liars + 1))
    fi
done
diag "$killed of $times runs were killed"
[ $killed -gt 0 ]
report $? "some runs were killed"
is "no file is half written" "$half" 0
is "the store opens after each" "$closed" 0
is "no run says done without its files" "$liars" 0
"$qslim" runs --json >"$tmp/out"
is "no run that was killed is still running" "$(grep -c '"state": "running"' "$tmp/out")" 0
ok "after all that a run works" "$qslim" quantize "$tmp/large" -o "$tmp/o" --force --quiet
is "and gives the new model" "$(sum_of "$tmp/o/quantized_model/model.pdiparams")" "$new_params"

# Ctrl-C
rm -rf "$tmp/o"
"$qslim" quantize "$tmp/large" -o "$tmp/o" --quiet >"$tmp/out" 2>"$tmp/err" &
pid=$!
sleep "$(awk -v w=$whole 'BEGIN { printf "%.6f", w * 0.3 / 1e6 }')"
kill -INT $pid 2>/dev/null
status=0
wait $pid || status=$?
if [ $status -eq 0 ]; then
    skip "it was done before" "Ctrl-C gives status 130"
else
    is "Ctrl-C gives status 130" $status 130
    tidy "and leaves no unfinished files" "$tmp/o"
fi
done_testing
