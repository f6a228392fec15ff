# SPDX-License-Identifier: Apache-2.0
# Files that are not what they should be: one line that says what and where, status 1, nothing
# written. (Every byte cut and changed: tests/unit/test_bad_input.c.)
. "${srcdir:-.}/tests/cli/lib.sh"
model small

# bad GLOB DESC MODEL [OPTION]...: info and quantize refuse it in one line and write nothing.
bad() {
    glob__=$1 desc__=$2
    shift 2
    refuses 1 "$glob__" "$desc__" timeout 20 "$qslim" info "$@"
    refuses 1 "$glob__" "$desc__, quantize" timeout 20 "$qslim" quantize "$@" -o "$tmp/o" --quiet
    is "$desc__: nothing is written" "$(ls -d "$tmp/o" 2>/dev/null)" ""
}

# What lies within
bad "*'conv.w'*element type 99*" "an unknown element type" "$(model bad-dtype; echo "$tmp/bad-dtype")"
for m in wrong-dims negative-dims overflow overflow-bytes huge; do
    model $m
    bad "cannot read parameters '$tmp/$m/model.pdiparams': *'conv.w'*" $m "$tmp/$m"
done
for m in self-block block-circle parent-circle no-block; do
    model $m
    bad "cannot read program '$tmp/$m/model.pdmodel': *block*" $m "$tmp/$m"
done
for m in deep doubling rank names float16 zero empty-weight unknown; do
    model $m
    ok "$m can be shown" timeout 20 "$qslim" info "$tmp/$m"
    ok "$m can be dumped" timeout 20 "$qslim" dump "$tmp/$m"
    ok "$m can be quantized" timeout 20 "$qslim" quantize "$tmp/$m" -o "$tmp/q" --force
    ok "$m can be quantized, weights only" timeout 20 "$qslim" quantize "$tmp/$m" -o "$tmp/q" --force --method weight-only
    ok "what comes of $m opens" timeout 20 "$qslim" info "$tmp/q"
done

# NaN
model nan
ok "NaN can be shown" "$qslim" info "$tmp/nan"
refuses 1 "*'conv.w'*2 of 54*" "NaN cannot be quantized" "$qslim" quantize "$tmp/nan" -o "$tmp/o" --quiet
is "nothing is written" "$(find "$tmp/o" -type f 2>/dev/null)" ""
refuses 1 "*'conv.w'*2 of 54*" "nor tried" "$qslim" quantize "$tmp/nan" --dry-run --quiet
ok "a rule lets it pass" "$qslim" quantize "$tmp/nan" -o "$tmp/o" --layer conv.w=skip --json
is "as skipped" "$(grep -c '"action": "skipped"' "$tmp/out")" 1
rm -rf "$tmp/o"

# Files of other kinds
printf 'hello' >"$tmp/hello.pdmodel"
bad "cannot read program '$tmp/hello.pdmodel': *" "text as a program" "$tmp/hello.pdmodel"
head -c 100000 /dev/urandom >"$tmp/random.pdmodel"
bad "cannot read program '$tmp/random.pdmodel': *" "random bytes as a program" "$tmp/random.pdmodel"
: >"$tmp/empty.pdmodel"
bad "cannot read program '$tmp/empty.pdmodel': *" "an empty program" "$tmp/empty.pdmodel"
mkdir "$tmp/folder.pdmodel"
bad "cannot open model '$tmp/folder.pdmodel': *" "a folder as a program" "$tmp/folder.pdmodel"
mkfifo "$tmp/fifo.pdmodel"
bad "cannot read program '$tmp/fifo.pdmodel': not a regular file" "a FIFO as a program" "$tmp/fifo.pdmodel"
bad "cannot read program '/dev/zero': not a regular file" "a device as a program" /dev/zero
ln -s loop.pdmodel "$tmp/loop.pdmodel"
bad "*loop.pdmodel*" "a link to itself" "$tmp/loop.pdmodel"
cp "$tmp/small/model.pdmodel" "$tmp/secret.pdmodel"
chmod 0 "$tmp/secret.pdmodel"
if [ -r "$tmp/secret.pdmodel" ]; then
    skip "this user may read everything" "an unreadable program"
else
    bad "cannot open program*: Permission denied" "an unreadable program" "$tmp/secret.pdmodel"
fi

# Parameters
p=$tmp/small/model.pdmodel
mkfifo "$tmp/fifo"
bad "cannot read parameters '$tmp/fifo': not a regular file" "a FIFO as parameters" "$p" --params "$tmp/fifo"
bad "cannot read parameters '$tmp': not a regular file" "a folder as parameters" "$p" --params "$tmp"
bad "cannot open parameters '$tmp/none': No such file or directory" "missing parameters" "$p" --params "$tmp/none"
: >"$tmp/nothing"
bad "cannot read parameters '$tmp/nothing': *ends*" "empty parameters" "$p" --params "$tmp/nothing"
bad "cannot read parameters *" "parameters of another model" "$p" --params "$digits/model.pdiparams"
cat "$tmp/small/model.pdiparams" "$tmp/small/model.pdiparams" >"$tmp/twice"
bad "cannot read parameters '$tmp/twice': *left*" "parameters that are too long" "$p" --params "$tmp/twice"

# One file each
[ -x "$maker" ] && "$maker" --separate small "$tmp/sep"
ok "separate parameters" "$qslim" info "$tmp/sep" --json
is "are read" "$(key n_params)" 119
rm "$tmp/sep/fc.w"
bad "*'$tmp/sep/fc.w'*" "a missing parameter file" "$tmp/sep"
mkfifo "$tmp/sep/fc.w"
bad "*'$tmp/sep/fc.w': not a regular file" "a FIFO as a parameter file" "$tmp/sep"
rm "$tmp/sep/fc.w" && cp "$tmp/sep/conv.w" "$tmp/sep/fc.w"
bad "*'$tmp/sep/fc.w'*" "a parameter file of another shape" "$tmp/sep"
"$maker" --separate small "$tmp/sep" && echo more >>"$tmp/sep/fc.b"
bad "*'$tmp/sep/fc.b'*left*" "a parameter file that is too long" "$tmp/sep"
mkdir "$tmp/within" && "$maker" --separate leaving "$tmp/within/sep"
bad "*'../outside'*leaves the folder*" "a name that leaves the folder" "$tmp/within/sep"
tidy "no unfinished files" "$tmp"

# A file that shrinks while it is read cannot be tried reliably; one that is replaced can.
cp -r "$tmp/small" "$tmp/mine"
ok "a model may be quantized over itself" "$qslim" quantize "$tmp/mine" -o "$tmp/mine" --method weight-only --force
ok "and opens" "$qslim" info "$tmp/mine"
done_testing
