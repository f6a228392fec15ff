# SPDX-License-Identifier: Apache-2.0
. "${srcdir:-.}/tests/cli/lib.sh"
data=$sample/digits.yaml

ok "eval --json" "$qslim" eval "$digits" --data "$data" --json
has_keys "has its keys" run_id samples metrics seconds images_per_second
is "counts the samples" "$(key samples)" 360
like "358 of 360 are right" "$(tr -d ' \n' <"$tmp/out")" '*"top1":{"value":0.99444444444*,"low":0.9*,"high":0.99*},"top5":{"value":1.0,*'
is "it is the first run" "$(key run_id)" 1
ok "the run is stored with its metrics" "$qslim" runs show 1 --json
is "as an evaluation" "$(key kind)" '"eval"'
like "with its metrics" "$(cat "$tmp/out")" '*"metrics": {*"top1": {*'

ok "the same on one thread and scalar code" "$qslim" eval "$digits" -d "$data" --json --threads 1 --cpu scalar -n 50
tr -d ' \n' <"$tmp/out" | sed 's/.*"metrics"/"metrics"/; s/}}.*/}}/' >"$tmp/one"
ok "and on two" "$qslim" eval "$digits" -d "$data" --json --threads 2 -n 50
tr -d ' \n' <"$tmp/out" | sed 's/.*"metrics"/"metrics"/; s/}}.*/}}/' >"$tmp/two"
is "gives the same metrics" "$(cat "$tmp/two")" "$(cat "$tmp/one")"

ok "a model beside itself" "$qslim" eval "$digits" -d "$data" -n 20 -r "$digits" -m cosine,mse,sqnr_db,kl,top1_agreement
like "differs in nothing" "$(tr -s ' ' <"$tmp/out")" '*cosine 1.000000 *mse 0.000e+00 *sqnr_db inf *kl 0.000e+00 *top1_agreement 1.0000 *'
ok "an infinite value is null" "$qslim" eval "$digits" -d "$data" -n 20 -r "$digits" -m sqnr_db --json
like "in JSON" "$(tr -d ' \n' <"$tmp/out")" '*"sqnr_db":{"value":null*'
ok "--predictions" "$qslim" eval "$digits" -d "$data" -n 3 --predictions "$tmp/p" --no-store
is "has a line for each sample" "$(paste -sd' ' "$tmp/p")" "9 4 6"
exits 1 "which is not overwritten" "$qslim" eval "$digits" -d "$data" -n 3 --predictions "$tmp/p" --no-store

exits 3 "below the bound" "$qslim" eval "$digits" -d "$data" --min-accuracy 0.999
like "says by how much" "$(cat "$tmp/err")" "*qslim: 'top1' is 0.994444, below 0.999"
ok "above the bound" "$qslim" eval "$digits" -d "$data" --min-accuracy 0.99
exits 2 "no data" "$qslim" eval "$digits"
exits 2 "no such metric" "$qslim" eval "$digits" -d "$data" -m top1,best
like "says which there are" "$(cat "$tmp/err")" "*no metric 'best': there are top1, *"
exits 1 "a metric of other data" "$qslim" eval "$digits" -d "$data" -m hmean
exits 1 "a metric that needs a reference" "$qslim" eval "$digits" -d "$data" -m cosine

# Integer weights run as the floats that they stand for.
for bits in 8 16; do
    ok "quantize to $bits bits" "$qslim" quantize "$digits" -o "$tmp/q$bits" --method dynamic --generate-test-model \
        --weight-bits $bits --op-types conv2d,depthwise_conv2d,matmul_v2
    ok "a model of integer weights runs" "$qslim" eval "$tmp/q$bits/quantized_model" -d "$data" -n 60 --json
    tr -d ' \n' <"$tmp/out" | sed 's/.*"metrics"/"metrics"/; s/}}.*/}}/' >"$tmp/one"
    ok "the test model too" "$qslim" eval "$tmp/q$bits/test_model" -d "$data" -n 60 --json
    tr -d ' \n' <"$tmp/out" | sed 's/.*"metrics"/"metrics"/; s/}}.*/}}/' >"$tmp/two"
    is "and is as good" "$(cat "$tmp/one")" "$(cat "$tmp/two")"
    ok "both are compared" "$qslim" eval "$tmp/q$bits/quantized_model" -d "$data" -n 20 -r "$tmp/q$bits/test_model" -m cosine
    like "and agree" "$(tr -s ' ' <"$tmp/out")" "*cosine 1.000000 *"
done

# Data that are not as they should be.
cp -R "$sample/data" "$tmp/data" && chmod -R u+w "$tmp/data"
cp "$data" "$tmp/x.yaml" && chmod u+w "$tmp/x.yaml"
head -c 100 "$sample/data/val/000.png" >"$tmp/data/val/000.png"
rm "$tmp/data/val/001.png"
ok "broken pictures are left out" "$qslim" eval "$digits" -d "$tmp/x.yaml" -n 10 --json
is "counted" "$(key broken) $(key samples)" "2 8"
like "and named" "$(cat "$tmp/err")" "*warning: *val/000.png'*warning: *val/001.png'*"
exits 1 "all pictures broken" "$qslim" eval "$digits" -d "$tmp/x.yaml" -n 2
like "is an error that says so" "$(cat "$tmp/err")" "*qslim: none of 2 samples can be read: *"
exits 1 "pictures that are too large" "$qslim" eval "$digits" -d "$data" -n 2 --max-pixels 63
like "are refused" "$(cat "$tmp/err")" "*8 x 8 pixels, at most 63 in all*"
echo "val/002.png 10" >"$tmp/data/val_list.txt"
exits 1 "a label beyond the classes" "$qslim" eval "$digits" -d "$tmp/x.yaml"
like "is named" "$(cat "$tmp/err")" "*label 10 of 'val/002.png' is beyond the 10 classes*"
: >"$tmp/data/val_list.txt"
exits 1 "an empty list" "$qslim" eval "$digits" -d "$tmp/x.yaml"
rm "$tmp/data/val_list.txt"
exits 1 "no list" "$qslim" eval "$digits" -d "$tmp/x.yaml"
echo "type: [" >"$tmp/x.yaml"
exits 1 "a data file that is no YAML" "$qslim" eval "$digits" -d "$tmp/x.yaml"
like "says where" "$(cat "$tmp/err")" "qslim: cannot read '$tmp/x.yaml': line 2: *"

# Arrays. The header is padded to 118 bytes, as NumPy does.
npy() { # FILE DESCR SHAPE DATA-BYTES
    {
        printf '\223NUMPY\001\000\166\000'
        printf '%-117s\n' "{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
        head -c "$4" /dev/zero
    } >"$1"
}
npy "$tmp/a.npy" '<f4' '(2, 3, 32, 32)' 24576
npy "$tmp/y.npy" '<i8' '(2,)' 16
printf 'type: tensors\nlist: {x: a.npy}\nlabels: y.npy\n' >"$tmp/x.yaml"
ok "arrays are data too" "$qslim" eval "$digits" -d "$tmp/x.yaml" --json
is "of two samples" "$(key samples)" 2
printf 'type: tensors\nlist: a.npy\n' >"$tmp/x.yaml"
exits 2 "arrays without labels need a reference" "$qslim" eval "$digits" -d "$tmp/x.yaml"
ok "and are compared with it" "$qslim" eval "$digits" -d "$tmp/x.yaml" -r "$digits"
npy "$tmp/a.npy" '<f4' '(2, 3, 33)' 792
exits 1 "arrays that do not fit the model" "$qslim" eval "$digits" -d "$tmp/x.yaml" -r "$digits"
like "name sample and operator" "$(cat "$tmp/err")" "*cannot run on sample '#0': *"
printf 'type: tensors\nlist: {z: a.npy}\n' >"$tmp/x.yaml"
exits 1 "an input that the model has not" "$qslim" eval "$digits" -d "$tmp/x.yaml" -r "$digits"
like "is named too" "$(cat "$tmp/err")" "*has no input 'z'"
done_testing
