# SPDX-License-Identifier: Apache-2.0
# Every tensor that `qslim run --all` computes against Paddle's, for every reference model.
. "${srcdir:-.}/tests/parity/lib.sh"
models=
for m in "$shared"/models/*/; do
    m=${m%/}
    case ${m##*/} in
    graph_only | nb | pir_*) ;;
    *) models="$models $("$ref" -c "import json, sys
print(','.join(['$m'] + ['%s=%s' % (k, 'x'.join(map(str, v))) for k, v in json.load(open('$shared/models/models.json'))['${m##*/}']['inputs'].items()]))")" ;;
    esac
done
for m in "$shared"/models/graph_only/*/; do
    name=$(basename "$m")
    program=$(find "$m" -name '*.pdmodel' -o -name __model__ | head -n 1)
    [ -n "$program" ] || continue # Paddle 2.6 does not read the JSON one
    "$ref" "$shared/oracle/fill_weights.py" "$program" "$tmp/$name" >/dev/null 2>&1 && models="$models $tmp/$name"
done
# shellcheck disable=SC2086
"$ref" "$top/tests/parity/run_models.py" "$qslim" "$tmp/work" "$sample/digits" $models 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
