# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"
model matmul

# quantize DESC [OPTION]...: a run on the sample into $tmp/o, JSON in $tmp/out.
quantize() {
    desc_=$1
    shift
    rm -rf "$tmp/o"
    ok "$desc_" "$qslim" quantize "$digits" -o "$tmp/o" --json "$@"
}
# actions WORD: how many weights became that.
actions() { grep -c "\"action\": \"$1\"" "$tmp/out"; }
bytes() { wc -c <"$1" | tr -d ' '; }

quantize "dynamic, 8 bits"
has_keys "has its keys" run_id plan layers bytes_before bytes_after files seconds
rows_have "and those of layers and files" weight bits action scale_count sqnr_db bytes_before \
    bytes_after reason path bytes sha256
is "nine weights become int8" "$(actions int8)" 9
is "two are kept" "$(actions kept)" 2
q=$tmp/o/quantized_model
is "the sizes are those of the files" "$(key bytes_after)" \
    $(($(bytes "$q/model.pdmodel") + $(bytes "$q/model.pdiparams")))
is "so is the digest of the program" "$(grep -c "$(sum_of "$q/model.pdmodel")" "$tmp/out")" 1
is "and that of the parameters" "$(grep -c "$(sum_of "$q/model.pdiparams")" "$tmp/out")" 1
ok "the result opens" "$qslim" info "$q" --json
is "as dynamically quantized" "$(sed -n 's/^  "kind": "\(.*\)",/\1/p' "$tmp/out")" dynamic
ok "and can be quantized no more" "$qslim" quantize "$q" -o "$tmp/again" --json
is "no weight is left for it" "$(actions int8)" 0
like "which is said" "$(cat "$tmp/err")" "*quantizes no weight*"
tidy "no unfinished files" "$tmp/o"

quantize "dynamic, 16 bits" --weight-bits 16
is "nine weights become int16" "$(actions int16)" 9
sixteen=$(key bytes_after)
quantize "abs_max" --weight-type abs_max
is "one scale each" "$(grep -c '"scale_count": 1,' "$tmp/out")" 9
quantize "a threshold rate" --weight-type abs_max --threshold-rate 0.05
is "is in the plan" "$(key plan | grep -c 'threshold-rate = 0.05')" 1
quantize "weight-only, 4 bits" --method weight-only --weight-bits 4
is "goes into the folder itself" "$(cd "$tmp/o" && ls)" "model.pdiparams
model.pdmodel"
is "matmul_v2 is simulated" "$(actions simulated)" 2
is "int16 is larger than int8" "$((sixteen > $(key bytes_after)))" 1
quantize "weight-only for Paddle" --method weight-only --target paddle
is "every weight stays FP32" "$(actions simulated)" 11
is "the parameters keep their size" "$(bytes "$tmp/o/model.pdiparams")" "$(bytes "$digits/model.pdiparams")"
quantize "lite-arm" --target lite-arm
is "rewrites matmul_v2 to mul and takes it" "$(actions int8)" 11
ok "so says the program" "$qslim" info "$tmp/o/quantized_model" --json
is "no matmul_v2 is left" "$(grep -c matmul_v2 "$tmp/out")" 0
is "there are two mul" "$(sed -n 's/^  "mul": \([0-9]*\).*/\1/p' "$tmp/out")" 2
quantize "a test model" --generate-test-model
is "has FP32 parameters" "$(bytes "$tmp/o/test_model/model.pdiparams")" "$(bytes "$digits/model.pdiparams")"
is "and is listed" "$(grep -c '"sha256"' "$tmp/out")" 4
quantize "chosen operators" --op-types depthwise_conv2d
is "only those" "$(actions int8)" 4

# Rules
quantize "rules" --layer 'conv2d_*=bits:16' --layer '/^conv2d_[0-2]\.w/=skip' --layer 'conv2d_8.w_0=bits:8'
is "skip three" "$(actions skipped)" 3
is "five at 16 bits" "$(actions int16)" 5
is "the last that matches decides" "$(actions int8)" 1
is "each says what it matched" \
    "$(sed -n "s/^qslim: rule .*'[^0-9']*\([0-9]*\).*/\1/p" "$tmp/err" | tr '\n' ' ')" "9 3 1 "
for r in 'none*=skip' 'batch_norm2d_0.b_0=skip'; do
    rm -rf "$tmp/o"
    refuses 2 "rule '$r' matches no quantizable weight" "a rule without a match" \
        "$qslim" quantize "$digits" -o "$tmp/o" --layer "$r"
    is "writes nothing" "$(ls "$tmp/o" 2>&1 | grep -c pdmodel)" 0
done
refuses 2 "bad rule*" "a rule that is none" "$qslim" quantize "$digits" -o "$tmp/o" --layer conv
refuses 2 "bad pattern*" "a broken expression" "$qslim" quantize "$digits" -o "$tmp/o" --layer '/(/=skip'
refuses 2 "*8 or 16*" "dynamic with 4 bits" "$qslim" quantize "$digits" -o "$tmp/o" --weight-bits 4
refuses 2 "*--weight-bits takes*" "1 bit" "$qslim" quantize "$digits" -o "$tmp/o" --weight-bits 1
refuses 2 "*'relu'*" "an operator without weights" "$qslim" quantize "$digits" -o "$tmp/o" --op-types relu
refuses 2 "*-o DIR*" "no output" "$qslim" quantize "$digits"
is "nothing was written" "$(ls -d "$tmp/o" 2>/dev/null)" ""

# Dry run
for plan in "" "--weight-bits 16" "--method weight-only --weight-bits 3 --layer conv2d_0.w_0=skip" \
    "--weight-type abs_max" "--target lite-arm"; do
    # shellcheck disable=SC2086
    ok "dry run $plan" "$qslim" quantize "$digits" --dry-run --json $plan
    is "is not stored" "$(key run_id)" null
    is "is planned" "$(key state)" '"planned"'
    cp "$tmp/out" "$tmp/dry"
    # shellcheck disable=SC2086
    quantize "the same for real" $plan
    is "every layer is as predicted" "$(grep -E '"(weight|action|bits|bytes_after|sqnr_db|scale_count)": ' "$tmp/out" | grep -v '^ "')" \
        "$(grep -E '"(weight|action|bits|bytes_after|sqnr_db|scale_count)": ' "$tmp/dry" | grep -v '^ "')"
    is "the size is as predicted, within 5 %" "$(awk -v a="$(key bytes_after)" -v b="$(key bytes_after "$tmp/dry")" \
        'BEGIN { print (a - b < a / 20 && b - a < a / 20) }')" 1
    params=$(find "$tmp/o" -name '*.pdiparams')
    saved=$(awk '/"bytes_before"/ && /^   / { gsub(/[^0-9]/, ""); n += $0 } /"bytes_after"/ && /^   / { gsub(/[^0-9]/, ""); n -= $0 } END { print n }' "$tmp/dry")
    is "that of the parameters exactly" "$(bytes "$params")" $(($(bytes "$digits/model.pdiparams") - saved))
done
is "a dry run makes no folder" "$("$qslim" quantize "$digits" --dry-run -o "$tmp/dryrun" >/dev/null 2>&1; ls -d "$tmp/dryrun" 2>/dev/null)" ""

# Plans
quantize "a plan is saved" --method weight-only --weight-bits 5 --layer '*8.w_0=skip' --save-plan "$tmp/plan"
first=$(sum_of "$tmp/o/model.pdiparams")
quantize "and taken" --plan "$tmp/plan" --save-plan "$tmp/plan2"
is "gives the same bytes" "$(sum_of "$tmp/o/model.pdiparams")" "$first"
is "and the same plan" "$(cat "$tmp/plan2")" "$(cat "$tmp/plan")"
quantize "options override it" --plan "$tmp/plan" --weight-bits 6
is "in the stored plan" "$(key plan | grep -c 'weight-bits = 6')" 1
printf 'weight-bits = many\n' >"$tmp/bad"
refuses 2 "bad plan '$tmp/bad': line 1: *" "a bad plan" "$qslim" quantize "$digits" -o "$tmp/o2" --plan "$tmp/bad"
head -c 3000 /dev/zero >"$tmp/bad"
refuses 1 "bad plan '$tmp/bad'*" "a plan that is no text" "$qslim" quantize "$digits" -o "$tmp/o2" --plan "$tmp/bad"
refuses 1 "cannot open plan*" "a missing plan" "$qslim" quantize "$digits" -o "$tmp/o2" --plan "$tmp/none"

# Existing output
before=$(sum_of "$tmp/o/model.pdiparams")
refuses 1 "cannot write '$tmp/o/model.pdmodel': it exists*" "an existing output" \
    "$qslim" quantize "$digits" -o "$tmp/o" --method weight-only --quiet
is "is left as it was" "$(sum_of "$tmp/o/model.pdiparams")" "$before"
ok "--force replaces it" "$qslim" quantize "$digits" -o "$tmp/o" --method weight-only --force
unlike "with other bytes" "$(sum_of "$tmp/o/model.pdiparams")" "$before"
echo >"$tmp/file"
refuses 1 "*'$tmp/file'*" "an output below a file" "$qslim" quantize "$digits" -o "$tmp/file"
cp "$digits/model.pdmodel" "$tmp/alone.pdmodel"
refuses 1 "cannot read the weights*" "a model without parameters" "$qslim" quantize "$tmp/alone.pdmodel" -o "$tmp/o3"
ok "into its own folder with --force" sh -c "cp '$digits'/model.* '$tmp/matmul/' && \
    '$qslim' quantize '$tmp/matmul' -o '$tmp/matmul' --method weight-only --force"
ok "reads its parameters to the end before they are replaced" "$qslim" info "$tmp/matmul"
ok "--no-store" "$qslim" quantize "$digits" -o "$tmp/o4" --no-store --json
is "gives no number" "$(key run_id)" null
ok "text output" "$qslim" quantize "$digits" -o "$tmp/o5"
done_testing
