# SPDX-License-Identifier: Apache-2.0
# Help fits the terminal, in every language.
. "${srcdir:-.}/tests/lib.sh"
[ -x "$qslim" ] || skip_all "no program here"

# widest: columns of the longest line of $tmp/out.
widest() { wc -L <"$tmp/out" | tr -d ' '; }

check_width() { # DESC COLUMNS
    [ "$(widest)" -le "$2" ]
    report $? "$1 fits $2 columns" || diag "$(awk -v n="$2" 'length($0) > n' "$tmp/out")"
}

check_all() { # LANGUAGE
    for cmd in "" $("$qslim" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
        # shellcheck disable=SC2086
        ok "$1: qslim $cmd --help" "$qslim" $cmd --help
        check_width "$1: help of qslim $cmd" 80
        is "$1: qslim $cmd --help leaves no blanks at ends of lines" "$(grep -n '[[:blank:]]$' "$tmp/out")" ""
    done
}

check_all English
po=$build/po/zh_CN/LC_MESSAGES
if [ -e "$po/qslim.mo" ]; then
    mkdir -p "$tmp/locale/zh_CN/LC_MESSAGES"
    cp "$po/qslim.mo" "$tmp/locale/zh_CN/LC_MESSAGES/"
    export QSLIM_LOCALEDIR="$tmp/locale" LANGUAGE=zh_CN
    check_all Chinese
    unset QSLIM_LOCALEDIR LANGUAGE
else
    skip "no catalogue here" "Chinese help"
fi

pty=$build/tests/pty
if [ -x "$pty" ]; then
    "$pty" "$tmp/screen" -- sh -c "stty cols 60; exec '$qslim' quantize --help" >/dev/null 2>&1
    tr -d '\r' <"$tmp/screen" >"$tmp/out"
    like "help is shown on a terminal" "$(cat "$tmp/out")" "*--weight-bits*"
    check_width "help on a narrow terminal" 60
else
    skip "no tests/pty: make check builds it" "help on a narrow terminal"
fi
done_testing
