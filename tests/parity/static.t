# SPDX-License-Identifier: Apache-2.0
# Statically quantized models: the files that PaddleSlim writes, run by Paddle, taken by paddle_lite_opt.
. "${srcdir:-.}/tests/parity/lib.sh"
m=$shared/models
rec=
"$ref" "$shared/oracle/fill_weights.py" "$m/graph_only/ch_PP-OCRv3_rec/"*.pdmodel "$tmp/ch_PP-OCRv3_rec" >/dev/null 2>&1 &&
    rec="$tmp/ch_PP-OCRv3_rec,x=1x3x48x96"
# shellcheck disable=SC2086
"$ref" "$top/tests/parity/static.py" "$qslim" "$lite_opt" "$tmp" "$m/mnist_cnn,img=1x1x28x28" \
    "$m/MobileNetV3_small_meter3,x=1x3x224x224" "$m/ch_PP-OCRv3_det,x=1x3x96x96" $rec \
    "+$m/ch_PP-OCRv3_det_slim_QAT,x=1x3x96x96" 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
