# SPDX-License-Identifier: Apache-2.0
# Every tensor that `qslim run --all` computes against Paddle's, for every reference model.
. "${srcdir:-.}/tests/parity/lib.sh"
find_models
# shellcheck disable=SC2086
"$ref" "$top/tests/parity/run_models.py" "$qslim" "$tmp/work" "$sample/digits" $models 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
