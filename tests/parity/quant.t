# SPDX-License-Identifier: Apache-2.0
# Integers and scales of nasty arrays against Paddle's own functions.
. "${srcdir:-.}/tests/parity/lib.sh"
"$ref" "$top/tests/parity/quant.py" "$build/tests/parity/quant_raw" 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
