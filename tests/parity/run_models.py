#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares every tensor that `qslim run --all` computes with Paddle's.

    tests/parity/run_models.py QSLIM WORK_FOLDER MODEL[,NAME=1x3x224x224]...

Inputs are random and fixed by a seed; shapes that are not given are those `qslim info` assumes. A
model without parameters gets random ones: give the folder that fill_weights.py wrote. Floats must
agree to a relative L2 error of 1e-5 for each tensor, integers exactly. Prints TAP, with a line of
counts and the worst tensors for each model. Needs paddle 2.6."""
import os
import re
import shutil
import sys

import lib
import paddle_files as pf
import numpy as np

BOUND = 1e-5
SIDE = {"XShape", "Mask", "SavedMean", "SavedVariance", "MeanOut", "VarianceOut", "Reserve", "DropoutState",
        "ReserveSpace", "BatchGate", "BatchCellPreAct", "BatchHidden", "BatchResetHiddenPrev", "MidOut",
        "StepScopes", "OutState", "OutAccum", "Norm", "Mean", "Variance", "Scope"}
LOOSE = {"sigmoid", "scale"}
TYPE = {"float32": np.float32, "int64": np.int64, "int32": np.int32, "bool": np.bool_}


def picture(rng, dims):
    """Smooth with some noise, mean 0 and deviation 1: networks saturate on pure noise."""
    coarse = [d if i < len(dims) - 2 else (d + 15) // 16 for i, d in enumerate(dims)]
    x = rng.standard_normal(coarse)
    for axis in range(max(len(dims) - 2, 0), len(dims)):
        x = np.repeat(x, 16, axis).take(range(dims[axis]), axis)
    return x + 0.1 * rng.standard_normal(dims)


def make_inputs(qslim, model, shapes):
    """{name: array}; pictures, ids small, sizes and scales as detection models expect."""
    rng = np.random.default_rng(7)
    given = dict(s.split("=") for s in shapes)
    info = lib.call(qslim, "info", model, *sum((["--shape", "%s=%s" % (n, d.replace("x", ","))] for n, d in given.items()), []))
    assumed = dict(re.findall(r"(\S+) ((?:\d+x)*\d+)", info["assumed_shapes"] or ""))
    feed = {}
    for i in info["inputs"]:
        text = given.get(i["name"]) or assumed.get(i["name"])
        dims = [int(d) for d in text.split("x")] if text else i["dims"]
        kind = TYPE[i["dtype"]]
        value = picture(rng, dims) if kind == np.float32 else rng.integers(1, 9, dims)
        if i["name"] == "im_shape":
            value = np.array([[320, 320]])
        if i["name"] == "scale_factor":
            value = np.ones(dims)
        feed[i["name"]] = value.astype(kind)
    return feed


def save_inputs(feed, folder):
    """Arguments of `qslim run`."""
    arg = []
    for k, (name, value) in enumerate(feed.items()):
        file = os.path.join(folder, "input%d.npy" % k)
        np.save(file, value)
        arg += ["--input", "%s=%s" % (name, file)]
    return arg


def theirs(model, feed):
    """The tensors of the main block after a run."""
    import paddle
    paddle.enable_static()
    program, params = pf.files(model)
    exe = paddle.static.Executor(paddle.CPUPlace())
    scope = paddle.static.Scope()
    with paddle.static.scope_guard(scope):
        prog, _, fetches = paddle.static.load_inference_model(
            os.path.dirname(program), exe, model_filename=os.path.basename(program),
            params_filename=params and os.path.basename(params))
        block = prog.global_block()
        want, made_by = [], {}
        for op in block.ops:
            for slot in op.output_names:
                for name in op.output(slot):
                    keep = op.type not in ("feed", "fetch") and slot not in SIDE and block.has_var(name)
                    if keep and not block.var(name).persistable:
                        want.append(name)
                        made_by[name] = op.type
        for name in want:
            block.var(name).persistable = True
        # old programs declare boxes or labels with a level of sequence
        exe.run(prog, feed=feed, fetch_list=[], return_numpy=False)
        got = {}
        for name in dict.fromkeys(want):
            try:
                got[name] = np.array(scope.find_var(name).get_tensor())
            except Exception:  # holds no tensor
                pass
        return got, made_by, [f.name for f in fetches]


FAKE = {"fake_quantize_dequantize_moving_average_abs_max", "fake_quantize_moving_average_abs_max"}


def cut_at_quantizers(model, folder, ref):
    """A rounding that goes the other way changes all that follows it. So activations that are quantized
    become inputs, with the values that Paddle has computed: ({name: array}, folder of that model)."""
    program = pf.program_of(model)
    ops = program.blocks[0].ops
    feed, col = {}, sum(op.type == "feed" for op in ops)
    for op in list(ops):
        if op.type not in FAKE:
            continue
        name = next(o.arguments[0] for o in op.outputs if o.parameter == "Out")
        if name in feed:  # quantized for every reader again
            ops.remove(op)
            continue
        feed[name] = ref[name]
        del op.inputs[:], op.outputs[:], op.attrs[:]
        op.type = "feed"
        op.inputs.add(parameter="X").arguments.append("feed")
        op.outputs.add(parameter="Out").arguments.append(name)
        op.attrs.add(name="col", type=0, i=col)
        col += 1
    params = pf.files(model)[1]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.pdmodel"), "wb") as f:
        f.write(program.SerializeToString())
    shutil.copy(params, os.path.join(folder, "model.pdiparams"))
    return feed, folder


def error(a, b):
    if a.shape != b.shape and a.size == b.size and a.size <= 1:
        a = a.reshape(b.shape)  # 0-D or [1]
    if a.shape != b.shape:
        return np.inf
    if a.dtype.kind != "f" or b.dtype.kind != "f":
        return 0.0 if np.array_equal(a, b) else np.inf
    a, b = a.astype(np.float64), b.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    d = np.where(same, 0, np.where(same, 0, a) - np.where(same, 0, b))
    norm = np.linalg.norm(np.where(np.isfinite(b), b, 0))
    return float(np.linalg.norm(d) / max(norm, 1e-30)) if d.any() else 0.0


def compare(qslim, work, item):
    model, *shapes = item.split(",")
    title = os.path.basename(model.rstrip("/"))
    folder = os.path.join(work, title)
    os.makedirs(folder, exist_ok=True)
    feed = make_inputs(qslim, model, shapes)
    ref, made_by, outputs = theirs(model, feed)
    if FAKE & set(made_by.values()) and pf.files(model)[1]:
        more, model = cut_at_quantizers(model, os.path.join(folder, "cut"), ref)
        feed.update(more)
        ref = {n: v for n, v in ref.items() if made_by[n] not in FAKE}
    arg = save_inputs(feed, folder)
    done = lib.call(qslim, "run", model, *arg, "--output", os.path.join(folder, "out"), "--all", "--force")
    ours = {t["name"]: np.load(t["file"]) for t in done["outputs"]}
    errors = {n: error(ours[n], v) for n, v in ref.items() if n in ours}
    missing = [n for n, v in ref.items() if n not in ours and v.size > 0]
    # a saturated sigmoid turns an error of its input, relative to 1, into one relative to its output
    bad = {n: e for n, e in errors.items() if not e <= (4 * BOUND if made_by[n] in LOOSE else BOUND)}
    worst = max(errors.values(), default=np.inf)
    worst_output = max((errors[n] for n in outputs if n in errors), default=np.inf)
    print("# %-32s %4d tensors, worst %.1e, outputs %.1e, %d beyond %g, %d missing %s; %.3f s, tensors %.1f MB" %
          (title, len(errors), worst, worst_output, len(bad), BOUND, len(missing),
           missing[:4], done["seconds"], done["peak_bytes"] / 1e6))
    for n, e in list(bad.items())[:6]:
        print("#   %s of %s: %.2e, %s %s" % (n, made_by[n], e, ours[n].shape, ref[n].shape))
    for file in os.listdir(os.path.join(folder, "out")):
        os.remove(os.path.join(folder, "out", file))
    return not bad and not missing


def main():
    qslim, work, *items = sys.argv[1:]
    lib.each(items, lambda item: compare(os.path.abspath(qslim), work, item), "every tensor of")


if __name__ == "__main__":
    main()
