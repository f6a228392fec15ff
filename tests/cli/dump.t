# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"

model matmul
ok "dump" "$qslim" dump "$tmp/matmul"
is "is the text form of the graph" "$(cat "$tmp/out")" "program version 2006002
block 0 parent -1
  var x float32 ?x8
  var h1 float32 ?x8
  var h2 float32 ?x8
  var h3 float32 ?x8
  var h4 float32 ?x8
  var y float32 ?x4
  param plain.w float32 8x8
  param turned.w float32 8x8
  param twice.w float32 8x8
  param last.w float32 8x4
  var feed type 9
  var fetch type 10
  0: feed(X: feed) -> (Out: x) col=0
  1: matmul_v2(X: x, Y: plain.w) -> (Out: h1) trans_x=false trans_y=false
  2: matmul_v2(X: h1, Y: turned.w) -> (Out: h2) trans_x=false trans_y=true
  3: mul(X: h2, Y: twice.w) -> (Out: h3) x_num_col_dims=1 y_num_col_dims=1
  4: mul(X: h3, Y: twice.w) -> (Out: h4) x_num_col_dims=1 y_num_col_dims=1
  5: mul(X: h4, Y: last.w) -> (Out: y) x_num_col_dims=1 y_num_col_dims=1
  6: fetch(X: y) -> (Out: fetch) col=0"
ok "dump --json" "$qslim" dump "$tmp/matmul" --json
has_keys "holds the text" text
ok "dump of the sample" "$qslim" dump "$digits"
cp "$tmp/out" "$tmp/brief"
ok "--all-attributes" "$qslim" dump "$digits" --all-attributes
is "shows what is left out otherwise" "$(grep -c op_role "$tmp/brief") $(grep -c op_role "$tmp/out")" "0 39"
"$qslim" quantize "$digits" -o "$tmp/q" --quiet >/dev/null
ok "dump of a quantized model" "$qslim" dump "$tmp/q/quantized_model"
is "shows the scales" "$(grep -c 'quantize_weight_bits=8' "$tmp/out")" 9
ok "exporting changes no operator" "$qslim" export "$digits" -o "$tmp/e" --to paddle
"$qslim" dump "$tmp/e" | sed '/^  var .*xshape/d; s/, XShape: [^)]*)/)/' >"$tmp/exported"
is "but flatten, which gets the output that Paddle-Lite wants" "$(diff "$tmp/brief" "$tmp/exported")" ""
model names
ok "hostile names" "$qslim" dump "$tmp/names"
is "put no control characters on the terminal" "$(tr -d '\12\40-\176\200-\377' <"$tmp/out")" ""
done_testing
