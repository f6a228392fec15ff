# SPDX-License-Identifier: Apache-2.0
# Key scripts and the screens they lead to: NAME.keys is pressed on a copy of the sample model, with
# the sample folder beside it, at the size
# in its line '# size: WxH' (80x24 without one), with the arguments in '# options: ...', in the
# language in '# language: LL', and the last screen is compared with NAME.screen. '# model: NAME'
# adds a model of tests/make-model.
# `make update-golden` writes the screens anew.
. "${srcdir:-.}/tests/lib.sh"
[ -x "$qslim" ] || skip_all "no program here"
unset NO_COLOR

# What changes from run to run: times and rates, version, kernels of this machine.
normalise() {
    sed -E -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}/YYYY-MM-DD hh:mm/g' \
        -e 's/[0-9]+\.[0-9]{2} s( |$)/N.NN s\1/g' \
        -e 's/( [0-9]\.[0-9] s|  [0-9]:[0-9]{2})( |$)/  M:SS\2/g' -e 's/[ 0-9.kM]{7}\/s/         /' \
        -e '/^ . version /s/[0-9]+\.[0-9.]+/N/g'
}

for keys in "$top"/tests/ui/*.keys; do
    name=${keys##*/}
    name=${name%.keys}
    size=$(sed -n 's/^# size: *//p' "$keys")
    options=$(sed -n 's/^# options: *//p' "$keys")
    language=$(sed -n 's/^# language: *//p' "$keys")
    model=$(sed -n 's/^# model: *//p' "$keys")
    if [ -n "$language" ] && [ ! -e "$build/po/$language/LC_MESSAGES/qslim.mo" ]; then
        skip "no catalogue for $language was made" "$name"
        continue
    fi
    if [ -n "$model" ] && [ ! -x "$build/tests/make-model" ]; then
        skip "no tests/make-model: make check builds it" "$name"
        continue
    fi
    mkdir -p "$tmp/$name"
    [ -z "$model" ] || { mkdir "$tmp/$name/$model" && "$build/tests/make-model" "$model" "$tmp/$name/$model"; }
    cp -R "$sample/digits" "$tmp/$name/digits"
    chmod -R u+w "$tmp/$name"
    ln -s "$sample" "$tmp/$name/sample"
    # shellcheck disable=SC2086
    if ! (cd "$tmp/$name" && HOME=$tmp/$name LANGUAGE=$language QSLIM_LOCALEDIR=$build/po QSLIM_DB=$tmp/$name/runs.db "$qslim" tui ${options:-${model:-digits}} \
        --script "$keys" --size "${size:-80x24}" --save-screen screen) >"$tmp/out" 2>&1; then
        fail "$name"
        diag "$(cat "$tmp/out")"
        continue
    fi
    normalise <"$tmp/$name/screen" >"$tmp/$name/normal"
    if [ -n "$UPDATE" ]; then
        cp "$tmp/$name/normal" "$top/tests/ui/$name.screen"
    fi
    if cmp -s "$tmp/$name/normal" "$top/tests/ui/$name.screen"; then
        pass "$name"
    else
        fail "$name"
        diag "$(diff "$top/tests/ui/$name.screen" "$tmp/$name/normal")"
    fi
done
done_testing
