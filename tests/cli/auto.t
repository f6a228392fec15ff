# SPDX-License-Identifier: Apache-2.0
# --algo auto: the calibrator with which the model computes what is nearest to FP32.
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits_calib.yaml

# error ALGO: mean squared error of the outputs in integers against FP32, on the calibration data.
error() {
    rm -rf "$tmp/q"
    "$qslim" quantize "$digits" -o "$tmp/q" --method static --data "$data" --no-store --no-verify --round nearest --activation-bits 4 \
        --algo "$1" >/dev/null 2>"$tmp/err-$1" &&
        "$qslim" eval "$tmp/q" --data "$data" --reference "$digits" --metric mse --precision int8 --json -q --no-store |
        sed -n '/"mse"/,/value/s/^ *"value": \([^,]*\).*/\1/p'
}
least=
worst=
for algo in abs_max avg hist percentile kl mse emd; do
    e=$(error $algo)
    least=$(awk -v a="$e" -v b="$least" 'BEGIN { print (b == "" || a + 0 < b + 0 ? a : b) }')
    worst=$(awk -v a="$e" -v b="$worst" 'BEGIN { print (b == "" || a + 0 > b + 0 ? a : b) }')
done
auto=$(error auto)
awk -v a="$auto" -v b="$least" 'BEGIN { exit !(a > 0 && a < 1.2 * b) }'
report $? "with 4 bits auto is as good as the best of all ($auto, least $least)"
awk -v a="$worst" -v b="$least" 'BEGIN { exit !(a > 1.5 * b) }'
report $? "which is not true of any ($worst)"
like "it says which" "$(cat "$tmp/err-auto")" "*calibrators: * (SQNR of the outputs *dB*32 samples)*"
like "and for how many others" "$(cat "$tmp/err-auto")" "*calibrators: another for [1-9] of these (SQNR of the outputs *dB)*"
is "nothing is said when it is named" "$(grep -c 'calibrators:' "$tmp/err-kl")" 0

# five OPTION..: error with 5 bits and auto; the table is in $tmp/table.
five() {
    rm -rf "$tmp/five"
    "$qslim" quantize "$digits" -o "$tmp/five" --method static --data "$data" --no-store --no-verify --round nearest --activation-bits 5 "$@" \
        >"$tmp/table" 2>"$tmp/err" &&
        "$qslim" eval "$tmp/five" --data "$data" --reference "$digits" --metric mse --precision int8 --json -q --no-store |
        sed -n '/"mse"/,/value/s/^ *"value": \([^,]*\).*/\1/p'
}
calibrator() {
    awk '$1 == "hardswish_3.tmp_0" { print $6 }' "$tmp/table"
}
mse=$(five --algo mse)
auto=$(five)
awk -v a="$auto" -v b="$mse" 'BEGIN { exit !(a > 0 && a < 0.85 * b) }'
report $? "with 5 bits others for some are better than one for all ($auto, $mse)"
other=$(calibrator)
unlike "which the table tells" "$other" mse
five --layer 'conv2d_4.w_0=algo:mse' >/dev/null
is "a rule by hand stays" "$(calibrator)" mse
ok "all rules by hand" "$qslim" quantize "$digits" -o "$tmp/named" --method static --data "$data" --no-store --layer '*=algo:kl'
is "leave nothing to choose" "$(grep -c 'calibrators:' "$tmp/err")" 0
ok "one thread" "$qslim" quantize "$digits" -o "$tmp/one" --method static --data "$data" --no-store --threads 1
ok "three" "$qslim" quantize "$digits" -o "$tmp/three" --method static --data "$data" --no-store --threads 3
is "choose alike" "$(sum_of "$tmp/one/model.pdiparams")" "$(sum_of "$tmp/three/model.pdiparams")"
{ cat "$data" && echo "input: x" && echo "root: $sample/data"; } | sed "s|^list: |&$sample/|" >"$tmp/named.yaml"
ok "data that name the input" "$qslim" quantize "$digits" -o "$tmp/by-name" --method static --data "$tmp/named.yaml" --no-store
is "choose alike, too" "$(sum_of "$tmp/one/model.pdiparams")" "$(sum_of "$tmp/by-name/model.pdiparams")"
done_testing
