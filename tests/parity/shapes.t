# SPDX-License-Identifier: Apache-2.0
# Inferred shapes of every tensor of every reference model against those that Paddle computes.
. "${srcdir:-.}/tests/parity/lib.sh"
find_models
# without the shapes of inputs: those that the program declares
# shellcheck disable=SC2086
models=$(printf "%s\n" $models | cut -d, -f1)
# shellcheck disable=SC2086
"$ref" "$top/tests/parity/shapes.py" "$build/tests/parity/shapes_raw" $models 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
