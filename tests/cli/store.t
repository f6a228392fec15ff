# SPDX-License-Identifier: Apache-2.0
# The run store as commands meet it: shared, read-only, of another version, full.
. "${srcdir:-.}/tests/cli/lib.sh"
model small

# delivered DESC: the last quantize succeeded all the same, with a warning about the store.
delivered() {
    like "$1: is a warning" "$(cat "$tmp/err")" "qslim: warning: this run is not stored: *"
    is "$1: has no number" "$(key run_id)" null
    ok "$1: the model is there" "$qslim" info "$tmp/o/quantized_model"
    rm -rf "$tmp/o"
}

# Where it is
ok "QSLIM_DB names it" "$qslim" quantize "$tmp/small" -o "$tmp/o" --quiet
is "it is there" "$(ls "$tmp/runs.db")" "$tmp/runs.db"
ok "--db names another" "$qslim" quantize "$tmp/small" -o "$tmp/o" --force --quiet --db "$tmp/deep/er/other.db"
is "it is there" "$(ls "$tmp/deep/er/other.db")" "$tmp/deep/er/other.db"
ok "the default is below XDG_DATA_HOME" env -u QSLIM_DB "$qslim" quantize "$tmp/small" -o "$tmp/o" --force --quiet
is "it is there" "$(ls "$tmp/data/qslim/runs.db")" "$tmp/data/qslim/runs.db"
ok "without that below the home" env -u QSLIM_DB -u XDG_DATA_HOME HOME="$tmp/home" "$qslim" quantize "$tmp/small" -o "$tmp/o" --force --quiet
is "it is there" "$(ls "$tmp/home/.local/share/qslim/runs.db")" "$tmp/home/.local/share/qslim/runs.db"
rm -rf "$tmp/o"

if command -v sqlite3 >/dev/null 2>&1; then
    is "the store knows the format of the model" "$(sqlite3 "$tmp/runs.db" 'SELECT format FROM model')" pdmodel
else
    skip "no sqlite3 here" "the store knows the format of the model"
fi

# Two at once
for i in 1 2 3 4; do
    "$qslim" quantize "$tmp/small" -o "$tmp/p$i" --quiet --db "$tmp/two.db" >"$tmp/out$i" 2>"$tmp/err$i" &
done
wait
is "runs at the same time are all stored" "$("$qslim" runs --csv --db "$tmp/two.db" | grep -c ',done,')" 4
is "and none complains" "$(cat "$tmp"/err[1-4])" ""

# Bad stores
echo "this is no database, but a text of some length, longer than a header" >"$tmp/text.db"
ok "a store that is no database" "$qslim" quantize "$tmp/small" -o "$tmp/o" --json --db "$tmp/text.db"
delivered "a store that is no database"
is "it is left as it was" "$(head -c 10 "$tmp/text.db")" "this is no"
refuses 1 "*'$tmp/text.db'*" "runs of no database" "$qslim" runs --db "$tmp/text.db"
mkdir "$tmp/folder.db"
ok "a store that is a folder" "$qslim" quantize "$tmp/small" -o "$tmp/o" --json --db "$tmp/folder.db"
delivered "a store that is a folder"
if command -v sqlite3 >/dev/null 2>&1; then
    cp "$tmp/runs.db" "$tmp/newer.db"
    sqlite3 "$tmp/newer.db" 'PRAGMA user_version = 9999'
    before=$(sum_of "$tmp/newer.db")
    refuses 1 "*newer*" "a store of a newer version" "$qslim" runs --db "$tmp/newer.db"
    ok "it does not cost the model" "$qslim" quantize "$tmp/small" -o "$tmp/o" --json --db "$tmp/newer.db"
    delivered "a store of a newer version"
    is "it is left as it was" "$(sum_of "$tmp/newer.db")" "$before"
else
    skip "no sqlite3 here" "a store of a newer version"
fi

# Not writable
mkdir "$tmp/ro" && cp "$tmp/runs.db" "$tmp/ro/"
chmod 400 "$tmp/ro/runs.db" && chmod 500 "$tmp/ro"
if [ -w "$tmp/ro" ]; then # root may write everywhere; what it may not write is /proc
    ok "a store that cannot be made" "$qslim" quantize "$tmp/small" -o "$tmp/o" --json --db /proc/runs.db
    delivered "a store that cannot be made"
else
    ok "a read-only store" "$qslim" quantize "$tmp/small" -o "$tmp/o" --json --db "$tmp/ro/runs.db"
    delivered "a read-only store"
fi

# Full: files may grow to 32 blocks of 512 bytes, which the model needs, the store needs more
(ulimit -f 32 && "$qslim" quantize "$tmp/small" -o "$tmp/o" --json --db "$tmp/full.db" >"$tmp/out" 2>"$tmp/err")
is "a full disk for the store does not cost the model" $? 0
delivered "a full disk for the store"
mkdir "$tmp/o"
(ulimit -f 1 && "$qslim" quantize "$digits" -o "$tmp/o" --no-store >"$tmp/out" 2>"$tmp/err")
is "a full disk for the model is an error" $? 1
like "which is said" "$(cat "$tmp/err")" "qslim: cannot write '*"
is "in one line" "$(wc -l <"$tmp/err")" 1
is "no file is left" "$(find "$tmp/o" -type f)" ""
"$qslim" quantize "$digits" -o "$tmp/o" --quiet >/dev/null
before=$(cat "$tmp"/o/quantized_model/* | sha256sum)
(ulimit -f 1 && "$qslim" quantize "$digits" -o "$tmp/o" --weight-bits 16 --force --no-store >"$tmp/out" 2>"$tmp/err")
is "a full disk with --force is an error" $? 1
is "that leaves the old model" "$(cat "$tmp"/o/quantized_model/* | sha256sum)" "$before"
tidy "and no unfinished files" "$tmp/o"
done_testing
