# SPDX-License-Identifier: Apache-2.0
# Commands, options, plan keys and passes are all in a manual page; pages are well formed.
. "${srcdir:-.}/tests/lib.sh"
[ -d "$top/man" ] || skip_all "no man folder"

# plain FILE...: page text with roff's spellings of dashes and fonts taken out.
plain() {
    sed -e 's/\\-/-/g' -e 's/\\f[BIRP]//g' -e 's/\\&//g' -e 's/\\(aq/'"'"'/g' \
        -e 's/\(^\.\| \)Fl -/\1--/g' -e 's/\(^\.\| \)Fl \([[:alnum:]]\)/\1-\2/g' "$@"
}

# pages NAME...: those of the pages that exist.
pages() {
    for p_; do [ -e "$top/man/$p_" ] && echo "$top/man/$p_"; done
}

# missing WORD... : words (from stdin) that the text in file $1 has not as whole words.
missing() {
    while read -r word; do
        grep -Eq -- "(^|[^[:alnum:]_-])$(printf %s "$word" | sed 's/[.[\*^$+?(){|]/\\&/g')([^[:alnum:]_-]|\$)" "$1" || echo "$word"
    done | paste -sd' ' -
}

# rows FILE: names of a row list.
rows() { sed -n 's/^[A-Z_]*(\([[:alnum:]_]*\).*/\1/p' "$1"; }

plain "$top"/man/*.[1-9] >"$tmp/all"
plain "$top/man/qslim.1" >"$tmp/main" 2>/dev/null || : >"$tmp/main"

if [ -e "$top/src/cmd/cmds.inc" ]; then
    is "every command is in qslim.1" "$(rows "$top/src/cmd/cmds.inc" | missing "$tmp/main")" ""
fi
if [ -e "$top/passes/passes.inc" ]; then
    is "every pass is in a page" "$(rows "$top/passes/passes.inc" | missing "$tmp/all")" ""
fi
if [ -e "$top/src/data/metric.inc" ]; then
    is "every metric is in a page" "$(rows "$top/src/data/metric.inc" | missing "$tmp/all")" ""
fi
if [ -e "$top/ui/keys.inc" ] && [ -e "$top/man/qslim-tui.1" ]; then
    plain "$top/man/qslim-tui.1" >"$tmp/tui"
    actions=$(sed -n 's/^ACTION([A-Z_]*, "\([a-z-]*\)".*/\1/p' "$top/ui/keys.inc")
    is "every action of the workbench is in qslim-tui.1" "$(echo "$actions" | missing "$tmp/tui")" ""
fi

if [ -x "$qslim" ] && [ -e "$top/src/cmd/cmds.inc" ]; then
    rows "$top/src/cmd/cmds.inc" >"$tmp/commands"
    while read -r cmd; do
        ok "$cmd --help succeeds" "$qslim" "$cmd" --help || continue
        grep -o -- '--[a-z][a-z0-9-]*' "$tmp/out" | sort -u >"$tmp/options"
        more=
        [ "$cmd" = plan ] && more=qslim-quantize.1 # its choices are described there
        # shellcheck disable=SC2046,SC2086
        plain $(pages "qslim-$cmd.1" qslim.1 $more) >"$tmp/page"
        is "every option of $cmd is in its page" "$(missing "$tmp/page" <"$tmp/options")" ""
    done <"$tmp/commands"
    if ok "a plan can be saved" "$qslim" quantize "$sample/digits" --dry-run --save-plan "$tmp/plan"; then
        sed -n 's/^#* *\([a-z][a-z-]*\) *=.*/\1/p' "$tmp/plan" | sort -u >"$tmp/keys"
        [ -s "$tmp/keys" ]
        report $? "the plan has keys"
        is "every plan key is in a page" "$(missing "$tmp/all" <"$tmp/keys")" ""
    fi
else
    skip "no program here" "options of the commands are documented"
fi

for page in "$top"/man/*.[1-9]; do
    name=${page##*/}
    grep -Eq '^\.(Sh|SH) EXAMPLES?' "$page" || case $name in *.1) fail "$name has examples" ;; esac
    if command -v mandoc >/dev/null 2>&1; then
        # No dates in the sources: releases are dated, pages are not.
        complaints=$(mandoc -Tlint -Wwarning "$page" 2>&1 | grep -v 'missing date' | sed "s|$top/||g")
        is "$name is well formed" "$complaints" ""
    else
        skip "no mandoc here" "$name is well formed"
    fi
done
done_testing
