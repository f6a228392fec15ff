# SPDX-License-Identifier: Apache-2.0
# Method static on the sample model: written, recorded, repeated, converted, listed.
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits_calib.yaml

# value KEY: the first value of that key in the JSON of the last command.
value() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\).*/\1/p" "$tmp/out" | head -n 1; }

refuses 2 "*--data FILE*" "no data" "$qslim" quantize "$digits" -o "$tmp/q" --method static
refuses 2 "*--format fakequant*" "16 bits in format qdq" "$qslim" quantize "$digits" -o "$tmp/q" --method static \
    --data "$data" --weight-bits 16
refuses 2 "*--algo does not go with method dynamic*" "a calibrator without activations" "$qslim" quantize "$digits" \
    -o "$tmp/q" --algo kl
refuses 2 "rule 'none=algo:kl' matches*" "a rule for nothing" "$qslim" quantize "$digits" -o "$tmp/q" --method static \
    --data "$data" --layer none=algo:kl
refuses 1 "*none.yaml*" "data that are not there" "$qslim" quantize "$digits" -o "$tmp/q" --method static --data "$tmp/none.yaml"
is "nothing was written" "$(ls -d "$tmp/q" 2>/dev/null)" ""

ok "with scalar kernels" "$qslim" quantize "$digits" --cpu scalar -o "$tmp/scalar" --method static --data "$data" --json
run=$(value run_id)
ok "a rerun uses them again" "$qslim" rerun "$run" --json
is "and gives the same bytes" "$(value same)" true

for format in qdq fakequant; do
    ok "$format: dry run without data" "$qslim" quantize "$digits" --dry-run --method static --format $format --json
    planned=$(value bytes_after)
    ok "$format: quantize" "$qslim" quantize "$digits" -o "$tmp/$format" --method static --format $format --data "$data" --json
    is "$format: as large as the dry run said" "$(value bytes_after)" "$planned"
    run=$(value run_id)
    (cd "$tmp" && "$qslim" rerun "$run" -o "$tmp/again-$format" --json >"$tmp/out" 2>"$tmp/err")
    report $? "$format: rerun from another folder"
    is "$format: gives the same bytes" "$(value same)" true
    ok "$format: info" "$qslim" info "$tmp/$format" --json
    is "$format: is recognised" "$(value kind) $(value weights) $(value activations)" "$format 11 11"
    ok "$format: layers" "$qslim" layers "$tmp/$format" --json
    has_keys "$format: of weights and activations" layers activations
    rows_have "$format: with scales" bits n_scales scale_min scale_max threshold rounding observed
    ok "$format: eval" "$qslim" eval "$tmp/$format" --data "$sample/digits.yaml" --samples 60 --min-accuracy 0.95
    for to in qdq fakequant fp32; do
        ok "$format to $to" "$qslim" export "$tmp/$format" -o "$tmp/$format-$to" --to $to
        ok "$format to $to: eval" "$qslim" eval "$tmp/$format-$to" --data "$sample/digits.yaml" --samples 60 --min-accuracy 0.95
    done
done
is "an int8 weight has a byte for each element" "$("$qslim" layers "$tmp/qdq" --filter 'n=432' --csv | cut -d , -f 7 | tail -n 1)" 432
is "and the same scales in both formats" "$("$qslim" layers "$tmp/qdq" --csv | cut -d , -f 21-24)" \
    "$("$qslim" layers "$tmp/fakequant" --csv | cut -d , -f 21-24)"
ok "dynamic to qdq" "$qslim" quantize "$digits" -o "$tmp/dynamic"
ok "is a conversion" "$qslim" export "$tmp/dynamic/quantized_model" -o "$tmp/dynamic-qdq" --to qdq
ok "that runs" "$qslim" eval "$tmp/dynamic-qdq" --data "$sample/digits.yaml" --samples 60 --min-accuracy 0.95
refuses 1 "*no form for weight*" "dynamic to fakequant" "$qslim" export "$tmp/dynamic/quantized_model" -o "$tmp/no" --to fakequant
refuses 2 "*is not quantized*" "a float model in another form" "$qslim" export "$digits" -o "$tmp/no" --to qdq
refuses 2 "*is not quantized*" "activations of a float model" "$qslim" layers "$digits" --activations

refuses 2 "*already quantized (qdq)*" "a quantized model" "$qslim" quantize "$tmp/qdq" --dry-run --method static
ok "a float model made of it" "$qslim" quantize "$tmp/qdq-fp32" --dry-run --method static

ok "rules" "$qslim" quantize "$digits" -o "$tmp/rules" --method static --data "$data" --layer conv2d_0.w_0=skip \
    --layer 'conv2d_1*=threshold:3.5' --layer 'conv2d_2*=algo:abs_max' --layer '*_3*=bits:4' --json
is "each rule counts its weights" "$(grep -c 'rule .* matches 1 of the weights' "$tmp/err")" 4
"$qslim" layers "$tmp/rules" --activations >"$tmp/acts"
is "a skipped layer reads its input as it is" "$(grep -c '^x ' "$tmp/acts")" 0
like "a threshold by hand is taken" "$(grep '^hardswish_0' "$tmp/acts")" "* 3.5 *"
is "bits by a rule" "$("$qslim" layers "$tmp/rules" --csv | grep '^conv2d_3' | cut -d , -f 21)" 4
ok "the same plan from the store's text" "$qslim" quantize "$digits" --dry-run --method static --data "$data" \
    --save-plan "$tmp/plan"
like "names its keys" "$(cat "$tmp/plan")" "*method = static*algo = auto*hist-percent = 0.9999*format = auto*"
ok "and is read" "$qslim" quantize "$digits" -o "$tmp/planned" --plan "$tmp/plan"

# Of the sample only what a reshape reads and makes is joined; a threshold by hand is for both.
joined="--op-types conv2d,matmul_v2,flatten_contiguous_range --layer linear_0*=threshold:3.5"
refuses 2 "*--same-scale does not go with method dynamic*" "shared thresholds without activations" "$qslim" quantize \
    "$digits" -o "$tmp/no" --same-scale auto
for same in none auto; do
    # shellcheck disable=SC2086
    ok "same scale $same" "$qslim" quantize "$digits" -o "$tmp/same-$same" --method static --data "$data" $joined \
        --same-scale $same --json
    cp "$tmp/out" "$tmp/$same.json"
    grep -c 'thresholds shared' "$tmp/err" >"$tmp/said-$same"
    "$qslim" layers "$tmp/same-$same" --activations >"$tmp/acts-$same"
done
is "one note, with auto only" "$(cat "$tmp/said-none" "$tmp/said-auto" | tr '\n' ' ')" "0 1 "
like "it counts them" "$(cat "$tmp/err")" "*groups 1, activations 2, changed 1 (largest: 'flatten_0.tmp_0' and 1 more at 3.5)*"
is "without it one has 3.5" "$(grep -c ' 3\.5 ' "$tmp/acts-none")" 1
is "with it both" "$(grep -c ' 3\.5 ' "$tmp/acts-auto")" 2
is "the run has no reason without" "$(grep -c 'group of' "$tmp/none.json")" 0
is "and one with" "$(grep -c '"algo": "threshold, group of 2"' "$tmp/auto.json")" 1
ok "a rerun shares too" "$qslim" rerun "$(sed -n 's/^ *"run_id": \([0-9]*\).*/\1/p' "$tmp/auto.json")" -o "$tmp/same-again" --json
is "to the byte" "$(value same)" true
done_testing
