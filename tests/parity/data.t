# SPDX-License-Identifier: Apache-2.0
# Pictures, preprocessing, text boxes and metrics against OpenCV, pyclipper, shapely and Paddle.
. "${srcdir:-.}/tests/parity/lib.sh"
QUICK=1 "$ref" "$top/tests/parity/data.py" "$build/tests/parity/data_raw" "$shared" 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
