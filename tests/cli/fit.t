# SPDX-License-Identifier: Apache-2.0
# Weights fitted to the data: what each choice does to the sample model at few bits.
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits_calib.yaml

# error OPTION...: mean squared error of the outputs of the model quantized so, against FP32.
error() {
    rm -rf "$tmp/q"
    "$qslim" quantize "$digits" -o "$tmp/q" --method static --data "$data" --no-store -q "$@" >/dev/null 2>"$tmp/err" &&
        "$qslim" eval "$tmp/q" --data "$sample/digits.yaml" --reference "$digits" --metric mse --json -q --no-store |
        sed -n '/"mse"/,/value/s/^ *"value": \([^,]*\).*/\1/p'
}
less() { awk -v a="$1" -v b="$2" -v f="$3" 'BEGIN { exit !(a > 0 && a < f * b) }'; }

nearest=$(error --weight-bits 3 --round nearest)
greedy=$(error --weight-bits 3 --round greedy)
trained=$(error --weight-bits 3 --round adaround)
less "$greedy" "$nearest" 0.8
report $? "3 bits: greedy rounding lessens the error of the output ($greedy of $nearest)"
less "$trained" "$nearest" 0.8
report $? "3 bits: adaround lessens it ($trained)"
is "auto is greedy" "$(error --weight-bits 3)" "$greedy"
is "with --compat paddle it is nearest" "$(error --weight-bits 3 --compat paddle --algo abs_max)" \
    "$(error --weight-bits 3 --compat paddle --algo abs_max --round nearest)"

# sqnr OPTION...: sum of the SQNR of the weights.
sqnr() {
    "$qslim" quantize "$digits" -o "$tmp/s" --force --method static --data "$data" --no-store -q --weight-bits 3 \
        --round nearest --json "$@" 2>"$tmp/err" | awk '/"sqnr_db": [0-9]/ { sum += $2 } END { print sum }'
}
less "$(sqnr)" "$(sqnr --weight-clip mse)" 1
report $? "clipping at the least squared error lessens the error of the weights"
ok "a bias correction says where" "$qslim" quantize "$digits" -o "$tmp/b" --method static --data "$data" --bias-correction
like "how many layers" "$(cat "$tmp/err")" "*biases corrected behind * of 11 layers*"

ok "folded and evened out" "$qslim" quantize "$digits" -o "$tmp/f" --method static --data "$data" --equalize --json
like "what was folded" "$(cat "$tmp/err")" "*batch norms put into filters: *pairs of layers evened out: *"
is "no batch norm is left" "$("$qslim" info "$tmp/f" --json | grep -c '"batch_norm":')" 0
ok "and it works" "$qslim" eval "$tmp/f" --data "$sample/digits.yaml" --samples 60 --min-accuracy 0.95
refuses 2 "*--round does not go with method dynamic*" "rounding of method dynamic" "$qslim" quantize "$digits" -o "$tmp/no" \
    --round greedy
done_testing
