# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits_calib.yaml

# seen: the activations of the last JSON document in one line.
seen() { tr -d ' \n' <"$tmp/out" | sed 's/.*"activations":\[//; s/\].*//'; }
# npy SHAPE FLOATS: the start of a float32 array file.
npy() {
    head_=$(printf '{"descr": "<f4", "fortran_order": False, "shape": (%s), }' "$1" | tr '"' "'")
    printf '\223NUMPY\1\0\166\0%-117s\n' "$head_"
}

ok "calibrate --json" "$qslim" calibrate "$digits" --data "$data" --json
has_keys "has its keys" run_id samples broken bad seconds peak_bytes engine activations
rows_have "its activations too" var op_type min max n_samples n_bad thresholds sqnr_db best
is "counts the samples" "$(key samples) $(key broken) $(key bad)" "64 0 0"
is "ran in the fast engine" "$(key engine)" '"fast"'
like "says what memory it takes, before" "$(cat "$tmp/err")" "qslim: 22 activations; memory, for any number of samples: *"
like "the input is the first" "$(seen)" '{"var":"x","op_type":"conv2d","min":-1.0,"max":1.0,"n_samples":64,"n_bad":0,*'
like "with every calibrator" "$(seen)" '*"thresholds":{"abs_max":*,"avg":*,"hist":*,"kl":*,"mse":*,"emd":*,"ptf":*,"min_max":*,"percentile":*},"sqnr_db":{*},"best":*'
ok "the run is stored" "$qslim" runs show 1 --json
is "as a calibration" "$(key kind)" '"calibrate"'
like "with what was seen" "$(seen)" '{"var":"x","op_type":"conv2d","min":-1.0,"max":1.0,*"algo":"abs_max","threshold":1.0,*"thresholds":{"abs_max":1.0,*'
ok "and shown" "$qslim" runs show 1
like "as a table" "$(tr -s ' ' <"$tmp/out")" "*activation operator min max threshold calibrator SQNR dB
x conv2d -1 1 1 abs_max 52.3
*"
seen=
for how in "--threads 1" "--threads 3 --batch 5" "--threads 2 --batch 64"; do
    # shellcheck disable=SC2086
    ok "calibrate $how" "$qslim" calibrate "$digits" -d "$data" --json --no-store $how
    [ -n "$seen" ] || seen=$(seen)
    is "gives the same" "$(seen)" "$seen"
done
ok "operator by operator" "$qslim" calibrate "$digits" -d "$data" --json --no-store --exact
is "it is another engine" "$(key engine)" '"exact"'
ok "thresholds of Paddle" "$qslim" calibrate "$digits" -d "$data" --json --no-store --compat paddle
is "are of that engine" "$(key engine)" '"exact"'

ok "some calibrators" "$qslim" calibrate "$digits" -d "$data" -n 20 --algo mse,avg --no-store
like "have their columns" "$(sed -n 1p "$tmp/out" | tr -s ' ')" "activation operator min max best avg dB mse dB"
exits 2 "no such calibrator" "$qslim" calibrate "$digits" -d "$data" --algo avg,best
like "is named" "$(cat "$tmp/err")" "*no calibrator 'best'*"
ok "--csv" "$qslim" calibrate "$digits" -d "$data" -n 20 --csv --no-store
like "is a table alone" "$(sed -n '1p;$p' "$tmp/out")" "activation,operator,min,max,best,abs_max,dB,*
linear_1.tmp_0,*,*,*"
ok "--all" "$qslim" calibrate "$digits" -d "$data" -n 20 --all --csv --no-store
like "sees what other operators make" "$(cut -d, -f1 "$tmp/out" | paste -sd' ')" "* batch_norm_0.tmp_* *"
ok "as Paddle" "$qslim" calibrate "$digits" -d "$data" --compat paddle --batch 8 --json --no-store
paddle=$(seen)
unlike "gives other thresholds" "$paddle" "$seen"
ok "as Paddle, in the other format" "$qslim" calibrate "$digits" -d "$data" --compat paddle --batch 8 --format fakequant --json --no-store
unlike "gives others again" "$(seen)" "$paddle"
ok "with 4 bits" "$qslim" calibrate "$digits" -d "$data" --bits 4 --json --no-store
unlike "gives other ratios" "$(seen)" "$seen"

# Data that are not as they should be.
ok "few samples" "$qslim" calibrate "$digits" -d "$data" -n 3 --no-store
like "are warned of" "$(cat "$tmp/err")" "*warning: only 3 samples: *"
{ npy 20,3,32,32 && printf '\0\0\300\177' && head -c 245756 /dev/zero; } >"$tmp/x.npy"
printf 'type: tensors\nlist: x.npy\n' >"$tmp/x.yaml"
ok "a NaN" "$qslim" calibrate "$digits" -d "$tmp/x.yaml" --json --no-store
is "is counted" "$(key samples) $(key bad)" "20 1"
like "and named" "$(cat "$tmp/err")" "*warning: NaN or infinity, first in 'x' (1 times): 1 of 20 samples are left out*"
like "a constant loses nothing" "$(seen)" '{"var":"x","op_type":"conv2d","min":0.0,"max":0.0,"n_samples":19,"n_bad":1,"n_values":58368,"n_zero":58368,*"sqnr_db":{"abs_max":null,*'
{ npy 20,1,32,32 && head -c 81920 /dev/zero; } >"$tmp/x.npy"
exits 1 "data of another shape" "$qslim" calibrate "$digits" -d "$tmp/x.yaml" --no-store
like "are an error of the sample" "$(sed '/memory/d' "$tmp/err")" "qslim: cannot run on sample '#0': *"
exits 2 "no data" "$qslim" calibrate "$digits"
exits 2 "17 bits" "$qslim" calibrate "$digits" -d "$data" --bits 17
done_testing
