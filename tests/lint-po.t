# SPDX-License-Identifier: Apache-2.0
# Translations are valid, complete and up to date (`make update-po` adds what is new).
. "${srcdir:-.}/tests/lib.sh"
need msgfmt

for po in "$top"/po/*.po; do
    name=${po##*/}
    ok "$name is valid" msgfmt --check-format --check-domain -o /dev/null "$po"
    if command -v xgettext >/dev/null 2>&1 && command -v msgcmp >/dev/null 2>&1; then
        sh "$top/po/extract" "$top" >"$tmp/qslim.pot" 2>"$tmp/err"
        is "the strings of the sources can be read" "$(cat "$tmp/err")" ""
        ok "$name translates every string of the sources" msgcmp "$po" "$tmp/qslim.pot"
    else
        skip "no xgettext here" "$name translates every string of the sources"
    fi
done
done_testing
