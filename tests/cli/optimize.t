# SPDX-License-Identifier: Apache-2.0
# --optimize latency: whatever is found to be faster, what is written follows from the plan of the run.
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits_calib.yaml

ok "--optimize latency" "$qslim" quantize "$digits" -o "$tmp/q" --method static --data "$data" --optimize latency --json
cp "$tmp/out" "$tmp/first"
run=$(key run_id)
like "says what it measured" "$(cat "$tmp/err")" "* in FP32*"
like "the plan of the run measures nothing" "$(grep '"plan"' "$tmp/first")" '*optimize = none*'
kept=$(grep -c '"reason": ".*faster .*on this CPU (.* ms against .* ms)"' "$tmp/first")
rules=$(grep '"plan"' "$tmp/first" | grep -o 'layer = [^=]*=skip' | wc -l)
is "has a rule for each layer that is kept" "$((rules))" "$kept"
is "which is not in integers" "$(grep -c '"action": "kept"' "$tmp/first")" "$kept"
ok "rerun" "$qslim" rerun "$run" --json
is "gives the same bytes" "$(key same)" true
ok "the model runs in integers" "$qslim" eval "$tmp/q" --data "$sample/digits.yaml" -n 60 --precision int8 --min-accuracy 0.95
ok "one thread, scalar" "$qslim" quantize "$digits" -o "$tmp/s" --method static --data "$data" --optimize latency --cpu scalar \
    --threads 1
ok "a dry run without data" "$qslim" quantize "$digits" --dry-run --method static --optimize latency
like "says that it does not measure" "$(cat "$tmp/err")" "*without --data no layer is measured*"
ok "a dry run with data" "$qslim" quantize "$digits" --dry-run --method static --optimize latency --data "$data"
like "does" "$(cat "$tmp/err")" "* in FP32*"
exits 2 "another method" "$qslim" quantize "$digits" --dry-run --optimize latency
exits 1 "no such data" "$qslim" quantize "$digits" -o "$tmp/no" --method static --data "$tmp/none.yaml" --optimize latency
is "writes nothing" "$(ls -d "$tmp/no" 2>/dev/null)" ""
done_testing
