# SPDX-License-Identifier: Apache-2.0
# qslim plan: a plan from a sensitivity scan.
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits.yaml
model small
plan() { "$qslim" plan "$digits" -s "$@" --method weight-only; }

ok "a scan of weights" "$qslim" sensitivity "$digits" -d "$data" --mode weights -b 2,8 -n 100 -q
ok "a plan that may lose nothing" plan 1 --max-drop 0 --json
has_keys "has its keys" run_id plan metric meets bytes bytes_float front
rows_have "and so has its walk" change bytes drop measured chosen
is "it holds" "$(key meets)" true
is "8 bits are no larger than 2" "$(key plan | grep -c 'weight-bits = 8')" 1
is "so nothing is left out for the metric" "$(key plan | grep -c 'conv2d_.*=skip')" 0

ok "a scan that hurts" "$qslim" sensitivity "$digits" -d "$data" --mode weights -b 2 -q
ok "a plan of it" plan 2 --max-drop 1%
cp "$tmp/out" "$tmp/plan"
like "is a plan file" "$(head -n 1 "$tmp/plan")" "# qslim plan"
like "with the walk as comments" "$(cat "$tmp/plan")" "*# from run 2: *#      68256  0.8*# \* *"
of_percent=$("$qslim" plan "$digits" -s 2 --method weight-only --max-drop 1% 2>/dev/null)
is "a number is in points" "$("$qslim" plan "$digits" -s 2 --method weight-only --max-drop 1 2>/dev/null)" "$of_percent"
ok "with -o" plan 2 --max-drop 1% -o "$tmp/x.plan"
is "the file has the same" "$(cat "$tmp/x.plan")" "$(cat "$tmp/plan")"
is "and the walk is printed" "$(cat "$tmp/out")" "$(sed -n '/^# from/,$s/^# //p' "$tmp/plan")"
refuses 1 "cannot write '*x.plan': it exists*" "a plan that is there" plan 2 --max-drop 1% -o "$tmp/x.plan"
ok "--force replaces it" plan 2 --max-drop 2% -o "$tmp/x.plan" --force
ok "a plan that is measured" plan 2 --max-drop 1% --check -o "$tmp/x.plan" --force
drop=$(sed -n 's/^\*.*(\(.*\)).*/\1/p' "$tmp/out")
ok "can be carried out" "$qslim" quantize "$digits" --plan "$tmp/x.plan" -o "$tmp/o" -q --json
bytes=$(sed -n 's/^ "bytes_after": \(.*\),/\1/p' "$tmp/out")
planned=$(sed -n 's/^# \* *\([0-9]*\) .*/\1/p' "$tmp/x.plan")
[ $((bytes - planned)) -lt 300 ] && [ $((planned - bytes)) -lt 300 ]
report $? "has the size that was said" || diag "$bytes, said $planned"
ok "and evaluated" "$qslim" eval "$tmp/o" -d "$data" --json
is "it loses what was measured" "$(tr -d ' \n' <"$tmp/out" | sed 's/.*"top1":{"value":\([0-9.]*\).*/\1/' |
    awk -v d="$drop" '{ e = 358 / 360 - $1 - d; print (e < 1e-6 && e > -1e-6 && d <= 0.01) }')" 1

ok "a bound on the size" plan 2 --max-size 80% --json
is "is kept" "$(key meets) $(awk -v b="$(key bytes)" -v f="$(key bytes_float)" 'BEGIN { print b <= 0.8 * f }')" "true 1"
ok "in bytes" plan 2 --max-size 100k --check
exits 3 "a bound that cannot be kept" plan 2 --max-size 10%
like "is said" "$(cat "$tmp/err")" "*no plan is within 10%: the smallest has 6* bytes"
like "with the nearest plan" "$(cat "$tmp/out")" "# qslim plan*"
ok "rules of the user stand" plan 2 --max-drop 1% --layer 'conv2d_2*=skip'
like "first" "$(cat "$tmp/out")" "*layer = conv2d_2\*=skip*"
unlike "and are not made again" "$(cat "$tmp/out")" "*conv2d_2.w_0*"
ok "without choices the method is that of the scan" "$qslim" plan "$digits" -s 2 --max-drop 1%
like "here any bits" "$(cat "$tmp/out")" "*method = weight-only*"

refuses 2 "plan needs --from-sensitivity RUN" "no scan" "$qslim" plan "$digits"
refuses 2 "a plan needs one bound: *" "no bound" plan 2
refuses 2 "a plan needs one bound: *" "two bounds" plan 2 --max-drop 1% --max-size 50%
refuses 2 "--max-drop takes *, not 'x'" "a drop that is no number" plan 2 --max-drop x
refuses 2 "--max-drop takes *, not '-1'" "a drop below 0" plan 2 --max-drop=-1
refuses 2 "--max-size takes *" "a size that is no number" plan 2 --max-size much
refuses 2 "'x' is not a run number" "a run that is no number" plan x --max-drop 1
refuses 1 "no run 99 *" "a run that is not there" plan 99 --max-drop 1
refuses 2 "run 2 is of '*digits*', and '*small*' is not that model" "another model" "$qslim" plan "$tmp/small" -s 2 --max-drop 1
"$qslim" quantize "$digits" -o "$tmp/q" -q >/dev/null
id=$("$qslim" runs --csv | sed -n '2s/,.*//p')
refuses 2 "run $id is of kind quantize, not sensitivity" "a run of another kind" plan "$id" --max-drop 1
done_testing
