# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits.yaml
model small

refuses 1 "*no run of a model" "an empty store" "$qslim" pareto
ok "quantize" "$qslim" quantize "$digits" -o "$tmp/w8" --method weight-only -q
refuses 1 "no run of *digits/model.pdmodel' was evaluated*" "runs without metrics" "$qslim" pareto
ok "evaluate what it wrote" "$qslim" eval "$tmp/w8" -d "$data" -q
ok "quantize harder" "$qslim" quantize "$digits" -o "$tmp/w2" --method weight-only --weight-bits 2 -q
ok "tag" "$qslim" runs tag 3 two
mv "$tmp/w2" "$tmp/moved"
ok "evaluate it elsewhere" "$qslim" eval "$tmp/moved" -d "$data" -q
ok "pareto" "$qslim" pareto --json
has_keys "has its keys" model x y x_less_is_better y_less_is_better points
rows_have "and so have its points" run_id x y on_front label
is "of the model that was quantized" "$(key model)" "\"$(realpath "$digits")/model.pdmodel\""
is "by bytes" "$(key x) $(key x_less_is_better)" '"bytes" true'
is "and the first metric" "$(key y) $(key y_less_is_better)" '"top1" false'
ok "as CSV" "$qslim" pareto --csv
is "marks the front" "$(cut -d, -f 1,2,5 "$tmp/out" | paste -sd' ' -)" "front,run,label 1,1,weight-only 8 0,3,weight-only 2 two"

ok "the model itself" "$qslim" eval "$digits" -d "$data" -q
ok "is a point" "$qslim" pareto --csv
is "the largest" "$(sed -n '$p' "$tmp/out" | cut -d, -f 1,2,3,5)" "0,5,104335,float"
ok "a file that it made means the same" "$qslim" pareto --csv -m "$tmp/w8"
is "model" "$(wc -l <"$tmp/out")" 4
ok "so does a digest" "$qslim" pareto --json -m "$("$qslim" runs show 1 --json | sed -n 's/.*"output_digest": "\(.*\)",/\1/p')"
like "of the file" "$(key model)" '*digits/model.pdmodel"'
ok "a metric that is less when better" "$qslim" eval "$tmp/w8" -d "$data" -q -r "$digits" -m mse,cosine
ok "is compared so" "$qslim" pareto --json -y mse
is "and says it" "$(key y_less_is_better)" true
like "others are left out, which is said" "$(cat "$tmp/err")" "qslim: 2 of 3 runs are left out: *"

ok "an evaluation on fewer samples" "$qslim" eval "$tmp/w8" -d "$data" -n 3 -q
ok "is not mixed with the others" "$qslim" pareto --csv
is "they go first" "$(sed -n 2p "$tmp/out" | cut -d, -f 4)" 0.994444444
ok "as a table" "$qslim" pareto
like "with marks" "$(cat "$tmp/out")" "*digits/model.pdmodel
   run *
\**    1 *0.9944  weight-only 8
*"
refuses 1 "no run of *'bytes' and 'foo'" "no such metric" "$qslim" pareto -y foo
refuses 1 "cannot open model*" "no such model" "$qslim" pareto -m "$tmp/none"
refuses 1 "the store has no run of *" "a model without runs" "$qslim" pareto -m "$tmp/small"
done_testing
