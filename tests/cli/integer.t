# SPDX-License-Identifier: Apache-2.0
# Execution in integers: --precision int8 of run, eval and bench.
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits.yaml

metrics() {
    tr -d ' \n' <"$tmp/out" | sed 's/.*"metrics"/"metrics"/; s/}}.*/}}/'
}

for format in qdq fakequant; do
    ok "quantize as $format" "$qslim" quantize "$digits" -o "$tmp/$format" --method static --format $format \
        --data "$sample/digits_calib.yaml" --no-store
    ok "in fp32" "$qslim" eval "$tmp/$format" -d "$data" --no-store --json
    metrics >"$tmp/fp32"
    ok "in int8" "$qslim" eval "$tmp/$format" -d "$data" --no-store --json --precision int8
    is "it is as good" "$(metrics)" "$(cat "$tmp/fp32")"
    ok "against itself simulated" "$qslim" eval "$tmp/$format" -d "$data" --no-store --json --precision int8 \
        -r "$tmp/$format" -m mse
    like "no bit differs" "$(metrics)" '"metrics":{"mse":{"value":0.0,*'
    for cpu in scalar avx2 avx512vnni amx; do
        ok "on $cpu, one thread" "$qslim" eval "$tmp/$format" -d "$data" --no-store --json --precision int8 --cpu $cpu \
            --threads 1 -r "$digits" -m sqnr_db
        # the reference and softmax are in floats: up to rounding
        metrics | sed 's/\(\.[0-9][0-9][0-9]\)[0-9]*/\1/g' >"$tmp/$cpu"
    done
    is "avx2 gives what scalar gives" "$(cat "$tmp/avx2")" "$(cat "$tmp/scalar")"
    is "amx, or what is there of it, too" "$(cat "$tmp/amx")" "$(cat "$tmp/scalar")"
    is "avx512vnni too" "$(cat "$tmp/avx512vnni")" "$(cat "$tmp/scalar")"
done

ok "bench tells which steps are in integers" "$qslim" bench "$tmp/qdq" --precision int8 --per-op --seconds 0 --json
like "convolutions are" "$(tr -d ' \n' <"$tmp/out")" '*"precision":"int8",*{"op_type":"conv2d","name":"*","precision":"int8",*'
like "what makes integers of floats is not" "$(tr -d ' \n' <"$tmp/out")" '*{"op_type":"round","name":"*","precision":"fp32",*'

like "integers have a time in floats" "$(tr -d ' \n' <"$tmp/out")" '*"precision":"int8","ms":*,"int8_part_ms":[0-9]*,"fp32_part_ms":[0-9]*'
like "floats have none" "$(tr -d ' \n' <"$tmp/out")" '*"op_type":"round",*"precision":"fp32","ms":*,"int8_part_ms":null,"fp32_part_ms":null*'
ok "as a table" "$qslim" bench "$tmp/qdq" --precision int8 --per-op --seconds 0
like "it has a column for them" "$(head -n 1 "$tmp/out")" "*precision*part*in float*name*"
like "and rows of numbers" "$(cat "$tmp/out")" "*conv2d*int8*0.*0.*"
is "nothing else is told but what is slower" "$(grep -cv 'slower in integers than in float on this CPU: .* ms in float).*--optimize latency' "$tmp/err")" 0
ok "in floats" "$qslim" bench "$tmp/qdq" --per-op --seconds 0
unlike "there is no such column" "$(head -n 1 "$tmp/out")" "*in float*"
ok "quietly" "$qslim" bench "$tmp/qdq" --precision int8 --seconds 0 -q
is "nothing is told" "$(cat "$tmp/err")" ""

ok "integer weights alone" "$qslim" quantize "$digits" -o "$tmp/dynamic" --method dynamic --no-store
ok "in fp32" "$qslim" eval "$tmp/dynamic/quantized_model" -d "$data" --no-store --json
metrics >"$tmp/fp32"
ok "in int8" "$qslim" eval "$tmp/dynamic/quantized_model" -d "$data" --no-store --json --precision int8
is "are as good" "$(metrics)" "$(cat "$tmp/fp32")"

exits 2 "a model without integers" "$qslim" eval "$digits" -d "$data" --precision int8
like "has nothing to run so" "$(cat "$tmp/err")" "*has no quantized layers that could run in integers*"
exits 2 "--exact is of fp32" "$qslim" eval "$tmp/qdq" -d "$data" --precision int8 --exact
exits 2 "so is --all" "$qslim" run "$tmp/qdq" -i x=y.npy -o "$tmp/o" --precision int8 --all
exits 2 "no such precision" "$qslim" bench "$tmp/qdq" --precision int4
done_testing
