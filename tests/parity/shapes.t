# SPDX-License-Identifier: Apache-2.0
# Inferred shapes of every tensor of every reference model against those that Paddle computes.
. "${srcdir:-.}/tests/parity/lib.sh"
models=
for m in "$shared"/models/*/; do
    m=${m%/}
    case ${m##*/} in graph_only | nb | pir_*) ;; *) models="$models $m" ;; esac
done
for m in "$shared"/models/graph_only/*/; do
    name=$(basename "$m")
    program=$(find "$m" -name '*.pdmodel' -o -name __model__ | head -n 1)
    [ -n "$program" ] || continue # Paddle 2.6 does not read the JSON one
    "$ref" "$shared/oracle/fill_weights.py" "$program" "$tmp/$name" >/dev/null 2>&1 && models="$models $tmp/$name"
done
# shellcheck disable=SC2086
"$ref" "$top/tests/parity/shapes.py" "$build/tests/parity/shapes_raw" $models 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
