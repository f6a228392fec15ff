# SPDX-License-Identifier: Apache-2.0
# For tests against the reference implementations: $shared is the reference material, $ref the
# Python that has Paddle, $lite_opt the real paddle_lite_opt or "-". Skips the whole test, saying
# why, where they are not to be had.
. "${srcdir:-.}/tests/lib.sh"
shared=${QSLIM_SHARED:-$top/../shared}
oracle=${ORACLE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/qslim-oracle}
ref=$oracle/ref/bin/python
lite_opt=$oracle/lite/bin/paddle_lite_opt
skip_all_of_it() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ -d "$shared/models" ] || skip_all_of_it "no reference material beside the project"
[ -x "$ref" ] || skip_all_of_it "no Python with Paddle (../shared/oracle/setup.sh makes one)"
[ -x "$lite_opt" ] || lite_opt=-
export PYTHONDONTWRITEBYTECODE=1
# Sets $models to all reference models that run, as MODEL,INPUT=1x3x224x224...; programs that came
# without parameters are filled below $tmp.
find_models() {
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
}
