# SPDX-License-Identifier: Apache-2.0
# The fast engine against the exact one, for every reference model and the larger ones with random weights.
. "${srcdir:-.}/tests/parity/lib.sh"
find_models
"$ref" "$shared/oracle/make_models.py" "$tmp/made" >/dev/null 2>&1 || diag "make_models.py failed"
for m in "$tmp"/made/*/; do
    models="$models ${m%/}"
done
# shellcheck disable=SC2086
"$ref" "$top/tests/parity/engines.py" "$qslim" "$tmp/work" "$sample/digits" $models 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
