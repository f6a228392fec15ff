# SPDX-License-Identifier: Apache-2.0
# Every reference model: rewritten, quantized as PaddleSlim does it, taken by paddle_lite_opt.
. "${srcdir:-.}/tests/parity/lib.sh"
"$ref" "$top/tests/parity/models.py" "$qslim" "$shared" "$lite_opt" "$tmp" 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
