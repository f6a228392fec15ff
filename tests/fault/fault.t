# SPDX-License-Identifier: Apache-2.0
# Every call that can fail fails once, at each place: one line and status 1, or (for the store) a
# warning and the whole model; what lay there stays or is replaced whole, nothing else is left.
. "${srcdir:-.}/tests/cli/lib.sh"
case "$TEST_CPPFLAGS" in
*-fsanitize=*) skip_all "a preloaded library and sanitizers do not go together" ;;
esac
# shellcheck disable=SC2086
${TEST_CC:-cc} -shared -fPIC -O1 -o "$tmp/shim.so" "$top/tests/fault/shim.c" -ldl 2>"$tmp/err" ||
    skip_all "no shared library can be built here"
model small
model matmul
"$qslim" quantize "$tmp/small" -o "$tmp/old" --no-store --quiet --weight-bits 16 >/dev/null
"$qslim" quantize "$tmp/small" -o "$tmp/new" --no-store --quiet >/dev/null
old=$(cat "$tmp"/old/quantized_model/model.pdmodel | sha256sum)
new=$(cat "$tmp"/new/quantized_model/model.pdmodel | sha256sum)
old_params=$(cat "$tmp"/old/quantized_model/model.pdiparams | sha256sum)
new_params=$(cat "$tmp"/new/quantized_model/model.pdiparams | sha256sum)

# with_fault CALL N COMMAND...
with_fault() {
    call_=$1 n_=$2
    shift 2
    rm -f "$tmp/mark"
    status=0
    FAULT_CALL=$call_ FAULT_NUMBER=$n_ FAULT_MARK=$tmp/mark LD_PRELOAD=$tmp/shim.so \
        "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
    [ -e "$tmp/mark" ]
}

# wrong TEXT: collects what is not as it should be.
wrong() { faults="$faults
$call $n: $1 (status $status: $(head -c 200 "$tmp/err"))"; }

# said STATUS: one line for a failure; for a success none that is not a warning.
said() {
    if [ "$status" -eq 1 ]; then
        [ "$(wc -l <"$tmp/err")" -eq 1 ] && grep -q '^qslim: ' "$tmp/err" || wrong "not one line"
    elif [ "$status" -eq 0 ]; then
        grep -v '^qslim: warning: ' "$tmp/err" >"$tmp/rest" && wrong "words that are no warning"
    else
        wrong "another status"
    fi
}

# Quantizing over an older result, with a store.
for call in write pwrite rename tmpfile linkat mkostemp mkdir fsync fdatasync close mmap memalign; do
    faults='' n=0 hits=0
    while n=$((n + 1)) && [ $n -le 40 ]; do
        rm -rf "$tmp/o" "$tmp"/runs.db*
        cp -r "$tmp/old" "$tmp/o"
        with_fault $call $n "$qslim" quantize "$tmp/small" -o "$tmp/o" --force --quiet --threads 1 || break
        hits=$((hits + 1))
        said
        program=$(cat "$tmp/o/quantized_model/model.pdmodel" | sha256sum)
        params=$(cat "$tmp/o/quantized_model/model.pdiparams" | sha256sum)
        if [ "$status" -eq 0 ]; then
            [ "$program$params" = "$new$new_params" ] || wrong "it says done, and is not"
        else
            [ "$program" = "$old" ] || [ "$program" = "$new" ] || wrong "half a program"
            [ "$params" = "$old_params" ] || [ "$params" = "$new_params" ] || wrong "half the parameters"
        fi
        [ "$(find "$tmp/o" -type f | wc -l)" -eq 2 ] || wrong "left: $(find "$tmp/o" -type f | tr '\n' ' ')"
        "$qslim" runs >/dev/null 2>"$tmp/err" || wrong "the store does not open"
    done
    is "quantize, $hits places where $call can fail" "$faults" ""
done

# Writing into an empty place.
for call in write rename tmpfile linkat mkostemp mkdir close mmap memalign; do
    faults='' n=0 hits=0
    while n=$((n + 1)) && [ $n -le 40 ]; do
        rm -rf "$tmp/o"
        with_fault $call $n "$qslim" export "$tmp/small" -o "$tmp/o/p" --to paddle --quiet --threads 1 || break
        hits=$((hits + 1))
        said
        [ "$status" -eq 0 ] || [ -z "$(find "$tmp/o" -name '*.tmp.*' 2>/dev/null)" ] || wrong "unfinished files"
        [ "$status" -ne 0 ] || "$qslim" info "$tmp/o/p" >/dev/null 2>&1 || wrong "it says done, and is not"
    done
    is "export, $hits places where $call can fail" "$faults" ""
done

# Looking, and working with stored runs.
rm -f "$tmp"/runs.db*
"$qslim" quantize "$tmp/small" -o "$tmp/s" --quiet >/dev/null
for command in "info $tmp/small" "layers $tmp/small" "dump $tmp/small" "runs" "runs show 1" \
    "runs tag 1 x" "compare 1 1" "rerun 1 --quiet"; do
    for call in write pwrite mmap memalign close rename; do
        faults='' n=0
        while n=$((n + 1)) && [ $n -le 12 ]; do
            # shellcheck disable=SC2086
            with_fault $call $n "$qslim" $command --threads 1 || break
            said
        done
        [ -z "$faults" ] || { report 1 "${command%% *}, where $call can fail" || diag "$faults"; }
    done
    report 0 "${command%% */*} with faults"
done
# Small allocations end the program; that must be said, too, and nothing may crash.
for command in "quantize $tmp/small -o $tmp/o --force --quiet" "info $tmp/small" "layers $digits --json" \
    "runs" "rerun 1 --quiet"; do
    call=malloc faults='' n=0 hits=0
    while n=$((n + 1 + n / 4)); do
        # shellcheck disable=SC2086
        with_fault $call $n "$qslim" $command --threads 2 || break
        hits=$((hits + 1))
        said
    done
    is "${command%% */*} without memory at $hits places" "$faults" ""
done
done_testing
