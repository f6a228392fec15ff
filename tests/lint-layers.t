# SPDX-License-Identifier: Apache-2.0
# Each folder includes only the layers below it (ARCHITECTURE.md). Quoted includes are ours.
. "${srcdir:-.}/tests/lib.sh"

# FOLDER PREFIX...: what files of the folder may include, besides their own folder.
rules='
kernels      kernels/
src/base     base/
src/model    base/ model/ kernels/kernel.h kernels/cpu.h kernels/observe.h
src/ops      base/ model/ ops/ kernels/
src/io       base/ model/ io/
src/data     base/ model/ io/ data/
src/engine   base/ model/ kernels/ engine/
passes       base/ model/ passes/
db           base/ model/ db/
src/fit      base/ model/ kernels/ ops/ fit/
src/app      base/ model/ kernels/ ops/ io/ engine/ fit/ data/ passes/ db/ app/
src/cmd      base/ model/ app/ passes/decide.h kernels/cpu.h kernels/kernel.h kernels/selftest_i8.h cmd/
ui           base/ model/ app/ passes/decide.h cmd/cmd.h ui/
src/main.c   base/ cmd/
'

# check FOLDER PREFIX...: prints file:include of each one that is not allowed.
check() {
    from=$1
    shift
    find "$top/$from" -type f \( -name '*.c' -o -name '*.h' -o -name '*.inc' \) ! -name Makefile.inc \
        ! -name '*.pb-c.[ch]' | sort | while read -r file; do
        dir=$(dirname "$file")
        sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file" | while read -r inc; do
            [ "$inc" = config.h ] && continue
            case $inc in
            *..*) ;;
            */*) for p; do case $inc in "$p"*) continue 2 ;; esac; done ;;
            *) [ -e "$dir/$inc" ] && continue ;;
            esac
            echo "${file#"$top"/}: \"$inc\""
        done
    done
}

while read -r folder allowed; do
    [ -n "$folder" ] || continue
    [ -e "$top/$folder" ] || continue
    # shellcheck disable=SC2086
    is "$folder includes only what lies below it" "$(check "$folder" $allowed)" ""
done <<EOF2
$rules
EOF2

# A folder with sources that has no rule would go unchecked.
unruled=$(cd "$top" && find . -name '*.c' ! -path './tests/*' ! -path './build*' ! -path './_build*' ! -path './.*' ! -path './qslim-*' |
    sed 's|^\./||' | while read -r f; do
    printf '%s\n' "$rules" | while read -r folder rest; do
        [ -n "$folder" ] || continue
        case $f in "$folder" | "$folder"/*) echo covered ;; esac
    done | grep -q covered || echo "$f"
done)
is "every source lies in a folder with a rule" "$unruled" ""

# A file that no list of the build names is not tested and not in the release. Programs of tests are
# listed without their .c.
lists="$top/Makefile.am $top/kernels/Makefile.inc $top/src/ops/Makefile.inc $top/tests/Makefile.inc"
# shellcheck disable=SC2086
sed 's/#.*//' $lists | tr -s ' \t\\' '\n' | sort -u >"$tmp/listed"
unlisted=$(cd "$top" && find db kernels man passes src tests ui -type f \( -name '*.[1-9ch]' -o -name '*.inc' \
    -o -name '*.keys' -o -name '*.py' -o -name '*.screen' -o -name '*.t' \) ! -name Makefile.inc ! -path 'tests/*/corpus/*' |
    sort | grep -Fxv -f "$tmp/listed" | while read -r f; do
    grep -Fqx -- "${f%.c}" "$tmp/listed" || echo "$f"
done)
is "every source and test is in a list of the build" "$unlisted" ""
done_testing
