# SPDX-License-Identifier: Apache-2.0
# Text files are clean UTF-8 without trailing blanks, and nothing names one machine or one site.
. "${srcdir:-.}/tests/lib.sh"
cd "$top" || exit 1

# The files of the project: what git has, or in a release everything that is not made by a build.
files() {
    if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$top" ]; then
        git ls-files --cached --others --exclude-standard
    else
        find . -type f ! -path './build*' ! -path './_*' ! -path './.git/*' ! -path './autom4te.cache/*' \
            ! -name configure ! -name aclocal.m4 ! -name Makefile.in ! -name 'config.*' ! -name '*.o' \
            ! -name '*.a' ! -name '*.log' ! -name '*.trs' ! -name '*.pb-c.[ch]' ! -path '*/.deps/*' |
            sed 's|^\./||'
    fi | while read -r f; do [ -f "$f" ] && printf '%s\n' "$f"; done | sort
}
# Bytes on purpose: inputs and expected outputs of tests, images, parameters.
files | grep -Ev '^tests/(fuzz|data|golden)/|^tests/.*\.(golden|screen|keys|case)$|\.(png|npy|pdiparams|sqlite|tar\.gz)$' >"$tmp/all"
# The program of the sample is binary but must not name a machine either.
grep -v '\.pdmodel$' "$tmp/all" >"$tmp/text"

# hits LIST GREP-ARGUMENT...: lines found in the files of the list.
hits() {
    list=$1
    shift
    tr '\n' '\0' <"$list" | xargs -0 -r grep -aHn "$@" -- | cut -c1-160
}

bad_utf8=$(while read -r f; do iconv -f UTF-8 -t UTF-8 "$f" >/dev/null 2>&1 || echo "$f"; done <"$tmp/text")
is "text files are valid UTF-8" "$bad_utf8" ""
grep -v '^LICENSE$' "$tmp/text" >"$tmp/ours"
is "no trailing blanks" "$(hits "$tmp/ours" '[[:blank:]]$')" ""
is "no carriage returns" "$(hits "$tmp/ours" "$(printf '\r')")" ""
no_newline=$(while read -r f; do [ ! -s "$f" ] || [ -z "$(tail -c 1 "$f")" ] || echo "$f"; done <"$tmp/ours")
is "files end with a newline" "$no_newline" ""
# Brackets keep these patterns from finding themselves.
is "no paths of one machine" \
    "$(hits "$tmp/all" -E '(^|[^[:alnum:].}/_-])/(wor[k]|hom[e]/[[:alnum:]]+|roo[t]|Users/[[:alnum:]]+)(/|$)')" ""
is "no hosts of one site" \
    "$(hits "$tmp/text" -Ei 'https?[:]//(localhos[t]|[0-9]+\.[0-9]+\.|[^/ ]*[:][0-9]+)|(extra-)?inde[x]-url|artifactor[y]|trusted-hos[t]')" ""
done_testing
