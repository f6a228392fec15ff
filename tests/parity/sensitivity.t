# SPDX-License-Identifier: Apache-2.0
# What each layer of the sample costs, by qslim and by PaddleSlim's Analysis.
. "${srcdir:-.}/tests/parity/lib.sh"
mkdir "$tmp/work"
"$ref" "$top/tests/parity/sensitivity.py" "$qslim" "$shared" "$sample" "$tmp/work" 2>"$tmp/err" || diag "$(tail -n 5 "$tmp/err")"
