# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits.yaml
model small

# csv FILE [ARG]...: a scan of the sample as CSV into FILE.
csv() {
    to_=$1
    shift
    "$qslim" sensitivity "$digits" -d "$data" --csv -q "$@" >"$to_" 2>"$tmp/err" </dev/null
}
# last_run: number of the newest run.
last_run() { "$qslim" runs --csv | sed -n '2s/,.*//p'; }
# state_of RUN
state_of() { "$qslim" runs show "$1" --json | sed -n 's/^ "state": "\(.*\)",$/\1/p'; }

ok "sensitivity --json" "$qslim" sensitivity "$digits" --data "$data" -n 40 --json
has_keys "has its keys" run_id baseline layers seconds peak_rss_bytes metric higher_is_better quantized samples
rows_have "and so have its rows" weight op_type mode bits metric drop sqnr_db cosine accumulated_db weight_db others_metric \
    others_drop bytes_float bytes_quant
is "every layer has a row" "$(grep -c '"weight":' "$tmp/out")" 11
is "the labels give the metric" "$(key metric)" '"top1"'
is "the samples are counted" "$(key samples)" 40
ok "the run is stored" "$qslim" runs show 1 --json
is "as what it is" "$(key kind) $(key state)" '"sensitivity" "done"'
is "with its rows" "$(grep -c '"drop":' "$tmp/out")" 11
like "its choices" "$(key plan)" '*# metric = top1*# mode = both*# bits = 8*'
like "and both metrics" "$(tr -d ' \n' <"$tmp/out")" '*"metrics":{"baseline":{"value":*"quantized":{"value":*'
ok "it is shown as text" "$qslim" runs show 1
like "with its rows, too" "$(cat "$tmp/out")" "*conv2d_8.w_0 *conv2d *"

# Variants
ok "modes and bits" csv "$tmp/all" -n 8 --mode weights,activations,both --bits 8,4 --others
is "have a row each" "$(wc -l <"$tmp/all")" 67
is "worst first" "$(sed 1d "$tmp/all" | cut -d, -f 6 | sort -grc 2>&1)" ""
like "4 bits lose more than 8" "$(sed -n 2p "$tmp/all")" "*,4,*"
is "only weights get smaller" "$(grep -c ',activations,.*,\([0-9]*\),\1$' "$tmp/all")" 22
csv "$tmp/five" -n 8 --mode weights,activations,both --bits 8,4 --others --threads 5
csv "$tmp/one_same" -n 8 --mode weights,activations,both --bits 8,4 --others --threads 1
is "threads change nothing" "$(cat "$tmp/five")" "$(cat "$tmp/one_same")"
is "nor does asking for one thing at a time" \
    "$(csv "$tmp/x" -n 8 --mode weights --bits 4 --others && sort "$tmp/x")" "$(grep -E '^weight|,weights,4,' "$tmp/all" | sort)"
# The exact engine tries whole models: the same but for rounding, and for dB of what is fused.
ok "--exact" csv "$tmp/exact" -n 8 --mode weights,activations,both --bits 8,4 --others --exact
cut -d, -f 1-9 "$tmp/exact" | sort >"$tmp/x"
cut -d, -f 1-9 "$tmp/all" | sort | paste -d, - "$tmp/x" |
    awk -F, 'function far(a, b) { return a - b > 1e-4 || b - a > 1e-4 }
        far($5, $14) || far($6, $15) || far($7, $16) || far($8, $17) || far($9, $18)' >"$tmp/far"
is "gives the same" "$(head -n 3 "$tmp/far")" ""

# In integers: the same up to the rounding of sums, which is none of the metric's concern here.
ok "--precision int8" csv "$tmp/integers" -n 8 --bits 8,4 --others --precision int8
is "has a row for each layer" "$(wc -l <"$tmp/integers")" 23
csv "$tmp/floats" -n 8 --bits 8,4 --others
cut -d, -f 1-4,10 "$tmp/integers" | sort >"$tmp/x"
cut -d, -f 1-4,10 "$tmp/floats" | sort | paste -d, - "$tmp/x" |
    awk -F, '$1 != $6 || $4 != $9 || $5 - $10 > 0.1 || $10 - $5 > 0.1' >"$tmp/far"
is "every layer loses what it loses simulated" "$(head -n 3 "$tmp/far")" ""
csv "$tmp/x" -n 8 --bits 8,4 --others --precision int8 --threads 1
is "threads change nothing" "$(cat "$tmp/x")" "$(cat "$tmp/integers")"
"$qslim" runs show "$(last_run)" --json >"$tmp/out"
like "the choice is stored" "$(key plan)" '*# precision = int8*'
refuses 2 "in integers the mode is both, not 'weights'" "integers of one side" \
    "$qslim" sensitivity "$digits" -d "$data" --precision int8 --mode weights
refuses 2 "in integers there are at most 8 bits, not 16" "integers of 16 bits" \
    "$qslim" sensitivity "$digits" -d "$data" --precision int8 --bits 8,16
refuses 2 "only the fast engine computes in integers" "integers in the exact engine" \
    "$qslim" sensitivity "$digits" -d "$data" --precision int8 --exact
refuses 2 "run * was begun with precision = fp32, not int8" "another precision than the run had" \
    "$qslim" sensitivity "$digits" --resume 1 --precision int8

# Metrics
ok "cosine needs no labels" csv "$tmp/cosine" -n 8 -m cosine
is "the drop is 1 - cosine" "$(awk -F, 'NR > 1 { d = 1 - $5 - $6; if (d > 1e-8 || d < -1e-8) print }' "$tmp/cosine")" ""
ok "mse" csv "$tmp/mse" -n 8 -m mse
is "is a drop, too" "$(awk -F, 'NR > 1 && !($6 > 0)' "$tmp/mse")" ""
csv "$tmp/top" -n 8 -m cosine --top 3
is "--top evaluates the worst only" "$(awk -F, 'NR > 1 && $5 != ""' "$tmp/top" | wc -l)" 3
is "they are as without" "$(sed -n 2,4p "$tmp/top" | sort)" "$(grep -F "$(sed -n 2,4p "$tmp/top" | cut -d, -f 1)" "$tmp/cosine" | sort)"
is "and have the largest error of their own" "$(sed -n 2,4p "$tmp/top" | cut -d, -f 10 | sort -g | tail -n 1)" \
    "$(sed 1d "$tmp/cosine" | cut -d, -f 10 | sort -g | sed -n 3p)"
ok "abs_max weights" csv "$tmp/x" -n 8 -m cosine --weight-type abs_max --mode weights
ok "other thresholds" csv "$tmp/kl" -n 8 -m cosine --algo kl
[ "$(cat "$tmp/kl")" != "$(cat "$tmp/cosine")" ]
report $? "are others"
ok "some operators only" csv "$tmp/x" -n 8 --op-types matmul_v2
is "have the rows" "$(sed 1d "$tmp/x" | cut -d, -f 2 | sort -u)" matmul_v2

# Going on with what was stopped
csv "$tmp/whole" --mode weights,both --bits 8,6,5,4,3 --others --threads 1
start=$(date +%s%N)
csv "$tmp/whole" --mode weights,both --bits 8,6,5,4,3 --others --threads 1
whole=$((($(date +%s%N) - start) / 1000)) # microseconds
stop_at() { # SIGNAL SHARE [ARG]...: a scan that is stopped after a share of its time
    signal_=$1 share_=$2
    shift 2
    "$qslim" sensitivity "$digits" -q --csv --threads 1 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null &
    pid=$!
    sleep "$(awk -v w=$whole -v s="$share_" 'BEGIN { printf "%.6f", w * s / 1e6 }')"
    kill "-$signal_" $pid 2>/dev/null
    status=0
    wait $pid 2>/dev/null || status=$?
}
stop_at KILL 0.5 -d "$data" --mode weights,both --bits 8,6,5,4,3 --others
id=$(last_run)
if [ $status -eq 137 ]; then
    is "a killed scan is interrupted" "$(state_of "$id")" interrupted
    for share in 0.3 0.3 0.3; do
        [ "$(state_of "$id")" = interrupted ] && stop_at KILL "$share" --resume "$id"
    done
    if [ "$(state_of "$id")" = interrupted ]; then
        ok "it can be taken up" "$qslim" sensitivity "$digits" -q --csv --resume "$id"
        is "and ends as if it had never been killed" "$(cat "$tmp/out")" "$(cat "$tmp/whole")"
    else
        skip "it was done before" "it can be taken up"
    fi
    is "as the same run" "$(last_run) $(state_of "$id")" "$id done"
else
    skip "it was done before" "a scan is killed"
fi
stop_at INT 0.7 -d "$data" --mode weights,both --bits 8,6,5,4,3 --others
id=$(last_run)
if [ $status -eq 130 ]; then
    is "a cancelled scan says so" "$(state_of "$id")" cancelled
    is "and nothing on stdout" "$(cat "$tmp/out")" ""
    "$qslim" runs show "$id" --json >"$tmp/out"
    is "it has the rows so far" "$(grep -c '"drop":' "$tmp/out")" 110
    refuses 2 "run $id was begun with bits = 8,6,5,4,3, not 4" "other choices" "$qslim" sensitivity "$digits" -d "$data" -b 4 --resume "$id"
    refuses 2 "run $id is of '*digits*', and *small* is not that model" "another model" \
        "$qslim" sensitivity "$tmp/small" -d "$data" --resume "$id"
    ok "it goes on with the same choices" "$qslim" sensitivity "$digits" -q --csv -d "$data" --others --resume "$id"
    is "to the same end" "$(cat "$tmp/out")" "$(cat "$tmp/whole")"
    refuses 1 "cannot resume run $id: it is done" "a scan that is done" "$qslim" sensitivity "$digits" --resume "$id" -q
else
    skip "it was done before" "a scan is cancelled"
fi
refuses 2 "run 1 is of kind *" "a run of another kind" sh -c \
    "\"$qslim\" quantize \"$digits\" -o \"$tmp/q\" -q --db \"$tmp/o.db\" >/dev/null && \"$qslim\" sensitivity \"$digits\" --resume 1 --db \"$tmp/o.db\""
refuses 1 "no run 999 in *" "a run that is not there" "$qslim" sensitivity "$digits" --resume 999

# Memory
refuses 1 "the scan needs at least * of memory, 1.00 MB are allowed" "too little memory" \
    "$qslim" sensitivity "$digits" -d "$data" --memory 1M -n 2 -q
memory=1M
for i in 1 2 3 4 5 6; do # ever a little more than what it says it needs
    csv "$tmp/little" -n 8 --mode weights,activations,both --bits 8,4 --others --memory $memory --threads 16 && break
    memory=$(sed -n 's/.*at least \([0-9.]*\) \([kMG]\)B of memory.*/\1 \2/p' "$tmp/err" | awk '{ printf "%.3f%s", $1 * 1.02, $2 }')
done
is "the least memory gives the same" "$(cat "$tmp/little")" "$(cat "$tmp/all")"

# What is not as it should be
refuses 2 "sensitivity needs --data FILE" "no data" "$qslim" sensitivity "$digits"
refuses 1 "cannot open *" "data that are not there" "$qslim" sensitivity "$digits" -d "$tmp/none.yaml"
refuses 2 "--bits takes widths from 2 to 16, not '8,17'" "too many bits" "$qslim" sensitivity "$digits" -d "$data" -b 8,17
refuses 2 "--bits takes *" "no bits" "$qslim" sensitivity "$digits" -d "$data" -b x
refuses 2 "--mode takes *, not 'weights,all'" "no such mode" "$qslim" sensitivity "$digits" -d "$data" --mode weights,all
refuses 2 "--top takes *" "no number of layers" "$qslim" sensitivity "$digits" -d "$data" --top 0
refuses 1 "'*' has no layer to quantize among lstm" "operators that match nothing" "$qslim" sensitivity "$digits" -d "$data" --op-types lstm
refuses 2 "no metric 'best': *" "no such metric" "$qslim" sensitivity "$digits" -d "$data" -m best
refuses 2 "a scan takes one metric, *" "two metrics" "$qslim" sensitivity "$digits" -d "$data" -m top1,top5
refuses 2 "'sqnr_db' is infinite *" "a metric without a baseline" "$qslim" sensitivity "$digits" -d "$data" -m sqnr_db
refuses 1 "metric 'hmean' cannot be had *" "a metric of other data" "$qslim" sensitivity "$digits" -d "$data" -m hmean
"$qslim" quantize "$digits" -o "$tmp/done" -q --no-store >/dev/null
"$qslim" quantize "$digits" -o "$tmp/done" -q --no-store --force --op-types conv2d,depthwise_conv2d,matmul_v2 >/dev/null
refuses 1 "*is already quantized (dynamic)" "a model that is already quantized" \
    "$qslim" sensitivity "$tmp/done/quantized_model" -d "$data"
cp -R "$sample/data" "$tmp/data" && chmod -R u+w "$tmp/data"
cp "$data" "$tmp/x.yaml" && chmod u+w "$tmp/x.yaml"
: >"$tmp/data/val_list.txt"
exits 1 "an empty list" "$qslim" sensitivity "$digits" -d "$tmp/x.yaml"
printf 'val/000.png 9\nval/none.png 1\nval/001.png 4\n' >"$tmp/data/val_list.txt"
ok "a picture that is missing is left out" "$qslim" sensitivity "$digits" -d "$tmp/x.yaml" --json
is "of the samples" "$(key samples)" 2
is "and named once" "$(grep -c 'warning: .*none.png' "$tmp/err")" 1
printf 'val/none.png 1\n' >"$tmp/data/val_list.txt"
exits 1 "no picture can be read" "$qslim" sensitivity "$digits" -d "$tmp/x.yaml"
like "is said in one line" "$(cat "$tmp/err")" "qslim: cannot open image '*none.png': No such file or directory"
printf 'val/000.png 12\n' >"$tmp/data/val_list.txt"
exits 1 "a label beyond the classes" "$qslim" sensitivity "$digits" -d "$tmp/x.yaml" -q
like "names the sample" "$(cat "$tmp/err")" "*label 12 of 'val/000.png' is beyond the 10 classes*"
is "and the run has failed" "$(state_of "$(last_run)")" failed

# Arrays: shapes that differ from sample to sample are not possible, but no numbers are.
npy() { # FILE DESCR SHAPE DATA-BYTES
    {
        printf '\223NUMPY\001\000\166\000'
        printf '%-117s\n' "{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
        head -c "$4" "$5"
    } >"$1"
}
npy "$tmp/a.npy" '<f4' '(2, 3, 32, 32)' 24576 /dev/zero
printf 'type: tensors\nlist: a.npy\n' >"$tmp/x.yaml"
ok "arrays without labels" "$qslim" sensitivity "$digits" -d "$tmp/x.yaml" --json
is "have the cosine as metric" "$(key metric)" '"cosine"'
tr '\0' '\377' </dev/zero | head -c 24576 >"$tmp/nan" # each a NaN
npy "$tmp/a.npy" '<f4' '(2, 3, 32, 32)' 24576 "$tmp/nan"
exits 1 "arrays of what is no number" "$qslim" sensitivity "$digits" -d "$tmp/x.yaml" -q
done_testing
