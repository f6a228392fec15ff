# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"
model small
mkdir "$tmp/temp"
export TMPDIR="$tmp/temp" # where rerun writes

ok "an empty store lists nothing" "$qslim" runs --json
is "as an empty list" "$(tr -d '\n ' <"$tmp/out")" '{"runs":[]}'
ok "a first run" "$qslim" quantize "$digits" -o "$tmp/a" --json
cp "$tmp/out" "$tmp/first"
is "is number 1" "$(key run_id)" 1
ok "a second run" "$qslim" quantize "$digits" -o "$tmp/b" --method weight-only --weight-bits 5 --layer 'conv2d_0*=skip'
exits 1 "a failed run" "$qslim" quantize "$digits" -o /proc/none --quiet

ok "list" "$qslim" runs list --json
is "has all of them, the failed one, too" "$(grep -o '"state": "[a-z]*"' "$tmp/out" | sort | tr '\n' ' ')" \
    '"state": "done" "state": "done" "state": "failed" '
ok "list as text" "$qslim" runs
is "has a row each" "$(wc -l <"$tmp/out")" 4
ok "list as CSV" "$qslim" runs --csv
like "has titles" "$(head -n 1 "$tmp/out")" 'id,state,*'
ok "show" "$qslim" runs show 1 --json
is "gives what quantize gave" "$(cat "$tmp/out")" "$(cat "$tmp/first")"
ok "export" "$qslim" runs export 1
is "gives the same" "$(cat "$tmp/out")" "$(cat "$tmp/first")"
ok "show as text" "$qslim" runs show 2
ok "tag" "$qslim" runs tag 2 'small, "good" one'
ok "show a tagged run" "$qslim" runs show 2 --json
is "has the tag" "$(key tag)" '"small, \"good\" one"'
ok "a tagged run in CSV" "$qslim" runs --csv
is "is quoted" "$(grep -c '"small, ""good"" one"' "$tmp/out")" 1

ok "compare" "$qslim" compare 1 2 --json
has_keys "has its keys" runs plan_differences layers
like "tells how the plans differ" "$(cat "$tmp/out")" '*method: dynamic -> weight-only*weight-bits: 8 -> 5*'
ok "compare as text" "$qslim" compare 1 2
ok "compare with itself" "$qslim" compare 1 1
refuses 2 "*" "compare of one" "$qslim" compare 1
refuses 1 "*99*" "compare with none" "$qslim" compare 1 99

ok "rerun" "$qslim" rerun 1 --json
is "gives the same bytes" "$(key same)" true
is "is a run of its own" "$(key parent)" 1
ok "rerun keeps the files with -o" "$qslim" rerun 2 -o "$tmp/c"
is "they are the same" "$(sum_of "$tmp/c/model.pdiparams")" "$(sum_of "$tmp/b/model.pdiparams")"
is "rerun leaves no folder behind" "$(ls "$TMPDIR")" ""
refuses 1 "cannot write*it exists*" "rerun into existing files" "$qslim" rerun 2 -o "$tmp/c" --quiet

ok "a run of another model" "$qslim" quantize "$tmp/small" -o "$tmp/d" --json
id=$(key run_id)
"$maker" matmul "$tmp/small"
exits 1 "rerun after the model changed" "$qslim" rerun "$id"
like "says so" "$(cat "$tmp/out")" '*the model*'
rm "$tmp/small/model.pdmodel"
refuses 1 "cannot open*" "rerun after the model went away" "$qslim" rerun "$id" --quiet
ok "compare can still show it" "$qslim" compare 1 "$id"

ok "rm" "$qslim" runs rm 1
refuses 1 "*1*" "show of a removed run" "$qslim" runs show 1
refuses 1 "*1*" "rm of a removed run" "$qslim" runs rm 1
refuses 1 "*1*" "tag of a removed run" "$qslim" runs tag 1 x
refuses 1 "*1*" "rerun of a removed run" "$qslim" rerun 1
for bad in x 0 -1 1.5 '' 99999999999999999999; do
    exits 2 "'$bad' is no number of a run" "$qslim" runs show -- "$bad"
done
refuses 2 "runs takes*" "runs of another kind" "$qslim" runs fly
refuses 2 "*" "runs tag without a text" "$qslim" runs tag 2
done_testing
