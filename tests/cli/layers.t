# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"

ok "layers as a table" "$qslim" layers "$digits"
is "has a row for each weight" "$(wc -l <"$tmp/out")" 12
ok "--all" "$qslim" layers "$digits" --all --csv
is "shows biases and statistics, too" "$(wc -l <"$tmp/out")" 50
is "as many as there are parameters" "$(awk -F, 'NR > 1 { n += $6 } END { print n }' "$tmp/out")" 21658
ok "--json" "$qslim" layers "$digits" --json
rows_have "has its columns" weight op op_type dims dtype n bytes min max mean std absmax sparsity \
    channel_axis channel_range_ratio kurtosis sqnr_db quantizable reason

# column N: that column of the last CSV, without its title.
column() { sed 1d "$tmp/out" | cut -d , -f "$1"; }

ok "--sort" "$qslim" layers "$digits" --csv --sort bytes
is "sorts by number" "$(column 7)" "$(column 7 | sort -n)"
ok "--sort -COL" "$qslim" layers "$digits" --csv --sort -bytes
is "sorts backwards" "$(column 7)" "$(column 7 | sort -nr)"
ok "--sort weight" "$qslim" layers "$digits" --csv --sort weight
is "sorts by name" "$(column 1)" "$(column 1 | LC_ALL=C sort)"
for f in 'depthwise_conv2d 4' 'linear_* 2' '/^conv2d_[0-3]/ 4' 'op_type=matmul_v2 2' 'bytes>20000 2' \
    'bytes<600 1' 'quantizable=true 11' 'n=432 2' 'none 0'; do
    ok "--filter ${f% *}" "$qslim" layers "$digits" --csv --filter "${f% *}"
    is "leaves ${f##* }" "$(column 1 | grep -c .)" "${f##* }"
done
refuses 2 "bad filter*" "a filter with no number" "$qslim" layers "$digits" --filter 'bytes>x'
refuses 2 "bad filter*" "a broken expression" "$qslim" layers "$digits" --filter '/(/'
refuses 2 "*'size'*" "a column that is not there" "$qslim" layers "$digits" --sort size
refuses 2 "*--bits takes*" "bits out of range" "$qslim" layers "$digits" --bits 17

ok "more bits" "$qslim" layers "$digits" --csv --bits 8 --filter conv2d_0.w_0
eight=$(column 17)
ok "fewer bits" "$qslim" layers "$digits" --csv --bits 4 --filter conv2d_0.w_0
is "fewer bits lose more" "$(echo "$eight $(column 17)" | awk '{ print ($1 > $2 + 15) }')" 1

ok "--channels" "$qslim" layers "$digits" --channels conv2d_0.w_0 --csv
is "a row for each channel" "$(column 1 | wc -l)" 16
is "the largest is that of the weight" "$(column 4 | sort -g | tail -n 1)" 0.973577
ok "--channels --json" "$qslim" layers "$digits" --channels conv2d_0.w_0 --json
has_keys "has its keys" weight channel_axis channels
ok "--histogram" "$qslim" layers "$digits" --histogram conv2d_0.w_0 --bins 10 --csv
is "a row for each bin" "$(column 1 | wc -l)" 10
is "counts every element" "$(column 3 | awk '{ n += $1 } END { print n }')" 432
ok "--histogram --json" "$qslim" layers "$digits" --histogram conv2d_0.w_0 --json
has_keys "has its keys" weight min max counts
refuses 1 "no weight 'x' in*" "channels of no weight" "$qslim" layers "$digits" --channels x

cp "$digits/model.pdmodel" "$tmp/alone.pdmodel"
refuses 1 "cannot read the weights of*" "no parameters" "$qslim" layers "$tmp/alone.pdmodel"

model nan
ok "NaN and infinity are counted" "$qslim" layers "$tmp/nan" --csv --filter conv.w
is "two are not finite" "$(column 20)" 2
model empty-weight
ok "a weight of no elements" "$qslim" layers "$tmp/empty-weight" --json
ok "its histogram" "$qslim" layers "$tmp/empty-weight" --histogram empty.w
ok "its channels" "$qslim" layers "$tmp/empty-weight" --channels empty.w
model names
ok "hostile names" "$qslim" layers "$tmp/names"
is "put no control characters on the terminal" "$(tr -d '\12\40-\176\200-\377' <"$tmp/out")" ""
ok "hostile names as JSON" "$qslim" layers "$tmp/names" --json
ok "hostile names as CSV" "$qslim" layers "$tmp/names" --csv
done_testing
