# SPDX-License-Identifier: Apache-2.0
# The same bytes whatever the number of threads and the instruction set.
. "${srcdir:-.}/tests/cli/lib.sh"
model large

isas=scalar
for isa in avx2 avx512 avx512vnni amx; do
    # a cap above the machine changes nothing: such rows are still good tests of that
    isas="$isas $isa"
done

# same DESC MODEL [OPTION]...: one digest over all combinations.
same() {
    desc_=$1 model_=$2
    shift 2
    rm -f "$tmp/sums"
    for cpu in $isas; do
        for threads in 1 2 7; do
            rm -rf "$tmp/o"
            "$qslim" quantize "$model_" -o "$tmp/o" --no-store --quiet --cpu $cpu --threads $threads "$@" >/dev/null || exit 1
            find "$tmp/o" -type f | LC_ALL=C sort | xargs cat | sha256sum >>"$tmp/sums"
        done
    done
    is "$desc_" "$(sort -u "$tmp/sums" | wc -l)" 1
}

same "dynamic" "$digits" --generate-test-model
same "dynamic, 16 bits, abs_max" "$digits" --weight-bits 16 --weight-type abs_max
same "with a threshold rate" "$digits" --weight-type abs_max --threshold-rate 0.01
same "weight-only, 3 bits" "$digits" --method weight-only --weight-bits 3
same "large layers" "$tmp/large"

rm -f "$tmp/sums"
for cpu in $isas; do
    for threads in 1 2 7; do
        "$qslim" layers "$digits" --json --cpu $cpu --threads $threads | sha256sum >>"$tmp/sums"
    done
done
is "statistics" "$(sort -u "$tmp/sums" | wc -l)" 1
done_testing
