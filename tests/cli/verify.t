# SPDX-License-Identifier: Apache-2.0
# What method static wrote is run again: simulated, in integers, beside the model it was made of.
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits_calib.yaml

# quantize DESC OUTPUT DATA [OPTION]...
quantize() {
    desc_=$1 to_=$2 from_=$3
    shift 3
    ok "$desc_" "$qslim" quantize "$digits" -o "$tmp/$to_" --method static --data "$from_" "$@"
}
flat() { tr -d ' \n' <"$tmp/out" | sed 's/.*"verified"://; s/}$//'; }

for format in qdq fakequant; do
    quantize "$format" "$format" "$data" --format $format --json
    like "$format: is verified" "$(flat)" '{"samples":32,"reason":null,"metrics":{"top1":{"fp32":1.0,"simulated":1.0,"int8":1.0},"cosine":{"fp32":null,"simulated":0.999*,"int8":0.999*},"top1_agreement":{"fp32":null,"simulated":1.0,"int8":1.0}},"cosine":*,"difference":0.0,"ok":true,"layers":[[]]}'
    is "$format: without a word" "$(grep -c 'integers' "$tmp/err")" 0
done
ok "the run" "$qslim" runs show 1 --json
like "keeps the metrics" "$(tr -d ' \n' <"$tmp/out")" '*"verify_int8_top1":{"value":1.0,*"verify_simulated_cosine":{*"verify_fp32_top1":{*'
ok "the list of runs" "$qslim" runs
like "shows the one of integers" "$(cat "$tmp/out")" "*verify_int8_top1 1.0000*"

quantize "for people" people "$data"
like "a table" "$(tr -s ' ' <"$tmp/out")" "*
verified FP32 simulated integers
top1 1.0000 1.0000 1.0000
cosine - 0.999*
32 samples; cosine of integers with simulated 1.0000*"
quantize "--no-verify" none "$data" --no-verify --json
is "says nothing of it" "$(key verified)" null
quantize "--verify-samples" few "$data" --verify-samples 5 --json
like "takes so many" "$(flat)" '{"samples":5,*'
quantize "fewer samples" fewer "$data" --samples 3 --json
like "take no more to verify" "$(flat)" '{"samples":3,*'
exits 2 "no sample" "$qslim" quantize "$digits" -o "$tmp/no" --method static --data "$data" --verify-samples 0
ok "a dry run" "$qslim" quantize "$digits" --dry-run --method static --json
is "verifies nothing" "$(key verified)" null
ok "nor does another method" "$qslim" quantize "$digits" -o "$tmp/dynamic" --json
is "which is no integer program" "$(key verified)" ""

# Labels that are not those of the model, and none.
cp -R "$sample/data" "$tmp/data" && chmod -R u+w "$tmp/data"
cp "$data" "$tmp/x.yaml" && chmod u+w "$tmp/x.yaml"
sed 's/ .*/ 99/' "$sample/data/calib_list.txt" >"$tmp/data/calib_list.txt"
quantize "labels of other classes" labels "$tmp/x.yaml" --json
like "are left out" "$(flat)" '{"samples":32,"reason":null,"metrics":{"cosine":{*"ok":true,*'
{ # eight arrays [3, 32, 32] of two numbers
    printf '\223NUMPY\001\000\166\000'
    printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 3, 32, 32), }"
    yes 'abc?cba>' | tr -d '\n' | head -c $((8 * 3 * 32 * 32 * 4))
} >"$tmp/x.npy"
printf 'type: tensors\nlist: x.npy\n' >"$tmp/x.yaml"
quantize "no labels" bare "$tmp/x.yaml" --json
like "leave the outputs" "$(flat)" '{"samples":8,"reason":null,"metrics":{"cosine":{*"ok":true,*'

# A run is repeated without.
run=$(key run_id)
ok "rerun" "$qslim" rerun "$run" --json
ok "its run" "$qslim" runs show "$((run + 1))" --json
is "has no metrics" "$(key metrics)" "{}"

# The same on one thread and in scalar code.
quantize "one thread, scalar" one "$data" --threads 1 --cpu scalar --json
like "is as good" "$(flat)" '{"samples":32,*"int8":1.0*"ok":true,*'
done_testing
