# SPDX-License-Identifier: Apache-2.0
# Runs the examples of the manual pages and of README.md. In a page, the roff comment
#     .\" test
# before a display (.Bd, .EX or .nf) says that the display is to be run; `.\" test: 3` that its
# commands exit with status 3. In the display a line `$ COMMAND` is run by sh (a backslash at its
# end continues it); the lines after it, when there are any, are what it prints: `...` in a line
# stands for anything, a line `...` for any lines. In README.md every indented block that begins with
# a command is such a display. The examples of a page run one after the other in a fresh folder that
# holds a copy of the sample under the name `sample`, with a store of their own.
. "${srcdir:-.}/tests/lib.sh"
[ -d "$top/man" ] || skip_all "no man folder"
[ -x "$qslim" ] || skip_all "no program here"
export TERM=dumb

mkdir "$tmp/bin"
ln -s "$qslim" "$tmp/bin/qslim"
ln -s "$qslim" "$tmp/bin/qslim-tui"
PATH=$tmp/bin:$PATH

# examples PAGE: its tested displays as plain text: `@ STATUS LINE`, then `$ COMMAND` and output.
examples() {
    case $1 in *.md)
        awk '
            !open && /^    \$ / { open = 1; print "@ 0 " NR }
            open && /^    / { print substr($0, 5); next }
            { open = 0 }' "$1"
        return
        ;;
    esac
    awk '
        /^\.\\" test/ { armed = 1; status = 0; if ($0 ~ /test:/) { sub(/.*test: */, ""); status = $1 }; next }
        armed && !open && /^\.(Bd|EX|nf)/ { open = 1; cont = 0; print "@ " status " " NR; next }
        open && /^\.(Ed|EE|fi)/ { open = armed = 0; next }
        open && /^\./ { next }
        open {
            gsub(/\\-/, "-"); gsub(/\\&/, ""); gsub(/\\\(aq/, "\047"); gsub(/\\\(dq/, "\"")
            gsub(/\\f[BIRP]/, ""); gsub(/\\[e\\]/, "\\")
            if (cont) sub(/^ */, " ")
            cont = /^\$ .*\\$/ || (cont && /\\$/)
            if (cont) { sub(/ *\\$/, ""); printf "%s", $0 } else print
        }' "$1"
}

# pattern: stdin as a shell pattern; see above.
pattern() {
    echo
    sed -e 's/[][\\*?]/\\&/g' | awk '$0 == "..." { printf "*"; next } { gsub(/\.\.\./, "*"); print }'
}

# check_example: runs $command and compares with $tmp/want; both belong to page $name, line $line.
check_example() {
    [ -n "$command" ] || return 0
    what="$name: $command"
    (cd "$tmp/work" && exits "$status" "$what" sh -c "$command") >"$tmp/report"
    sed 1d "$tmp/report" >"$tmp/diag"
    case $(head -n 1 "$tmp/report") in
    ok*) ;;
    *)
        fail "$what"
        cat "$tmp/diag"
        return
        ;;
    esac
    if [ ! -s "$tmp/want" ]; then
        pass "$what"
        return
    fi
    like "$what" "
$(cat "$tmp/out" "$tmp/err")
" "$(pattern <"$tmp/want")
"
}

n_pages=0
for page in "$top"/man/*.[1-9] "$top/README.md"; do
    name=${page##*/}
    examples "$page" >"$tmp/examples"
    [ -s "$tmp/examples" ] || continue
    n_pages=$((n_pages + 1))
    rm -rf "$tmp/work"
    mkdir "$tmp/work"
    cp -R "$sample" "$tmp/work/sample"
    chmod -R u+w "$tmp/work"
    export QSLIM_DB="$tmp/work/runs.db"
    command=
    while IFS= read -r text; do
        case $text in
        "@ "*)
            check_example
            command=
            status=${text#@ }
            status=${status%% *}
            ;;
        "$ "*)
            check_example
            command=${text#"$ "}
            : >"$tmp/want"
            ;;
        *) printf '%s\n' "$text" >>"$tmp/want" ;;
        esac
    done <"$tmp/examples"
    check_example
done
[ $n_pages -gt 0 ] || skip_all "no examples marked in the pages"
done_testing
