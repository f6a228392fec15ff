# SPDX-License-Identifier: Apache-2.0
# A plan file gives the choices; what the command line has overrides it, defaults too.
. "${srcdir:-.}/tests/lib.sh"
[ -x "$qslim" ] || skip_all "no program here"

# bits_of DESC BITS [OPTION]...: the plan that a dry run ends up with has these bits.
bits_of() {
    desc=$1 bits=$2
    shift 2
    ok "$desc: runs" "$qslim" quantize "$sample/digits" --dry-run --json "$@" || return
    like "$desc" "$(cat "$tmp/out")" "*\"weight_bits\": $bits,*"
}

printf '# mine\n  weight-bits=16\r\n\nlayer = conv2d_0*=skip\n' >"$tmp/plan"
bits_of "a plan file is taken" 16 --plan "$tmp/plan"
bits_of "an option overrides the plan" 8 --plan "$tmp/plan" --weight-bits 8
like "rules of the plan stay" "$(cat "$tmp/out")" '*"action": "skipped"*'
bits_of "the order of options does not matter" 8 --weight-bits 8 --plan "$tmp/plan"
ok "rules of the command line come after those of the plan" "$qslim" quantize "$sample/digits" \
    --dry-run --json --plan "$tmp/plan" --layer 'conv2d_0*=bits:8'
unlike "and decide" "$(cat "$tmp/out")" '*"action": "skipped"*'

echo 'bits = 8' >"$tmp/bad"
exits 2 "an unknown key is refused" "$qslim" quantize "$sample/digits" --dry-run --plan "$tmp/bad"
like "and named with its line" "$(cat "$tmp/err")" "*'$tmp/bad': line 1: unknown key 'bits'*"
done_testing
