# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"

ok "info as text" "$qslim" info "$digits"
like "shows inputs, outputs and operators" "$(cat "$tmp/out")" '*inputs *x float32 ?x3x32x32*outputs *conv2d 5*'
ok "info --json" "$qslim" info "$digits" --json
has_keys "has its keys" format version inputs outputs ops n_ops n_params params_bytes program_bytes \
    macs quantization blocks
is "counts operators" "$(key n_ops)" 39
is "counts parameters" "$(key n_params)" 21658
is "tells the bytes of the program" "$(key program_bytes)" "$(wc -c <"$digits/model.pdmodel")"
is "tells the bytes of the parameters" "$(key params_bytes)" "$(wc -c <"$digits/model.pdiparams")"
one=$(key macs)
ok "--shape sets the batch" "$qslim" info "$digits" --json --shape x=3,3,32,32
is "and the work grows with it" "$(key macs)" $((3 * one))
ok "a program file" "$qslim" info "$digits/model.pdmodel"
ok "a prefix" "$qslim" info "$digits/model"
ok "options may come last or first" "$qslim" info --json "$digits" --quiet
cp "$digits/model.pdmodel" "$tmp/alone.pdmodel"
ok "a program without parameters" "$qslim" info "$tmp/alone.pdmodel" --json
is "has no count of parameters" "$(key n_params)" null
like "and that is said" "$(cat "$tmp/err")" 'qslim: warning: *alone.pdmodel*'
ok "--params names them elsewhere" "$qslim" info "$tmp/alone.pdmodel" --params "$digits/model.pdiparams" --json
is "and they are counted" "$(key n_params)" 21658

mkdir "$tmp/empty"
refuses 1 "cannot open model '$tmp/none': No such file or directory" "a missing model" "$qslim" info "$tmp/none"
refuses 1 "*no .pdmodel*" "a folder without a model" "$qslim" info "$tmp/empty"
refuses 1 "*filter takes 3 channels, the input has 1*" "a shape that does not fit" "$qslim" info "$digits" --shape x=1,1,32,32
refuses 1 "*'y'*" "a shape of no input" "$qslim" info "$digits" --shape y=1,3,32,32
refuses 2 "missing argument*" "no model" "$qslim" info
refuses 2 "too many arguments*" "two models" "$qslim" info a b
refuses 2 "*option '--colour'" "an option that is not there" "$qslim" info "$digits" --colour
refuses 2 "*--threads takes a whole number*" "threads that are no number" "$qslim" info "$digits" --threads x
refuses 2 "*--cpu takes*" "an ISA that is not there" "$qslim" info "$digits" --cpu z80
exits 2 "no command" "$qslim"
refuses 2 "*command 'fly'*" "a wrong command" "$qslim" fly
ok "--version" "$qslim" --version
ok "--help" "$qslim" info --help
cp "$digits"/model.* "$tmp/" && cp "$digits/model.pdmodel" "$tmp/other.pdmodel" && rm "$tmp/alone.pdmodel"
ok "model.pdmodel is preferred" "$qslim" info "$tmp"
mv "$tmp/model.pdmodel" "$tmp/third.pdmodel"
refuses 2 "*2 programs in this folder*" "several programs in a folder" "$qslim" info "$tmp"
[ -w /dev/full ] && ("$qslim" info "$digits" >/dev/full 2>"$tmp/err"; [ $? -eq 1 ])
report $? "a full standard output is a failure"
model unknown
ok "an unknown operator is shown" "$qslim" info "$tmp/unknown"
like "by its name" "$(cat "$tmp/out")" '*strange_op 1*'
done_testing
