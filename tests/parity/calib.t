# SPDX-License-Identifier: Apache-2.0
# Thresholds of every calibrator against PaddleSlim's, on a classifier and a text detector; KL, which takes half a second for
# each activation there, on a small model.
. "${srcdir:-.}/tests/parity/lib.sh"
"$ref" "$shared/oracle/make_models.py" "$tmp" mobilenet_v3_large >/dev/null 2>&1
"$ref" "$top/tests/parity/calib.py" "$qslim" "$build/tests/parity/calib_raw" "$tmp" "$tmp/mobilenet_v3_large,64,3,4" \
    "$shared/models/ch_PP-OCRv3_det,64,3,4" "$shared/models/mnist_cnn,28,1,4,KL" 2>"$tmp/err" ||
    diag "$(tail -n 5 "$tmp/err")"
