#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares inferred shapes with those of the tensors that Paddle computes.

    make tests/parity/shapes_raw && tests/parity/shapes.py tests/parity/shapes_raw MODEL...

Every variable of the main block is compared, except outputs without contents (XShape and such).
Full slices and reductions are [1] in programs from before 2.5, as they were when these were made;
Paddle 2.6 makes them 0-D. Those are counted apart.
A model without parameters gets random ones: give the folder that fill_weights.py wrote. Needs
paddle 2.6; prints TAP with a line of counts for each model."""
import os
import subprocess
import sys

os.environ.setdefault("GLOG_minloglevel", "3")
import lib
import numpy as np
import paddle

SIDE = {"XShape", "Mask", "SavedMean", "SavedVariance", "MeanOut", "VarianceOut", "Reserve", "DropoutState",
        "ReserveSpace", "BatchGate", "BatchCellPreAct", "BatchHidden", "BatchResetHiddenPrev", "MidOut",
        "StepScopes", "OutState", "OutAccum", "Norm"}
DTYPE = {0: bool, 2: np.int32, 3: np.int64, 5: np.float32}


def ours(raw, model, shapes):
    run = subprocess.run([raw, model] + shapes, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip())
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    inputs = {r[1]: (int(r[2]), parse(r[3])) for r in rows if r[0] == "input"}
    shape = {r[1]: parse(r[3]) for r in rows if r[0] == "var"}
    return inputs, shape, [r[1] for r in rows if r[0] == "node"], {r[0]: int(r[1]) for r in rows if r[0] in ("macs", "version")}


def parse(text):
    return None if text == "?" else () if text == "scalar" else tuple(int(d) for d in text.split("x"))


def files(path):
    if os.path.isfile(path):
        path = os.path.dirname(path)
    names = sorted(os.listdir(path))
    model = next(n for n in names if n.endswith(".pdmodel") or n in ("__model__", "model"))
    params = next((n for n in names if n.endswith(".pdiparams") or n in ("__params__", "params")), None)
    return path, model, params


def theirs(path, inputs):
    """Shapes of all tensors of the main block after a run on random inputs."""
    rng = np.random.default_rng(1)
    folder, model, params = files(path)
    exe = paddle.static.Executor(paddle.CPUPlace())
    scope = paddle.static.Scope()
    with paddle.static.scope_guard(scope):
        prog, _, _ = paddle.static.load_inference_model(folder, exe, model_filename=model, params_filename=params)
        block = prog.global_block()
        want = []
        for op in block.ops:
            for slot in op.output_names:
                for name in op.output(slot):
                    keep = op.type not in ("feed", "fetch") and slot not in SIDE and block.has_var(name)
                    if keep and name not in want and not block.var(name).persistable:
                        want.append(name)
        for name in want:
            block.var(name).persistable = True
        feed = {}
        for name, (dtype, dims) in inputs.items():
            t = DTYPE[dtype]
            feed[name] = (rng.integers(1, 10, dims) if t != np.float32 else rng.random(dims)).astype(t)
        exe.run(prog, feed=feed, fetch_list=[], return_numpy=False)
        got = {}
        for name in want:
            var = scope.find_var(name)
            try:
                got[name] = tuple(var.get_tensor().shape())
            except Exception:  # holds no tensor
                pass
        return got


def compare(raw, item):
    """ITEM is MODEL or MODEL,NAME=SHAPE,NAME=SHAPE with sizes joined by x."""
    model, *shapes = item.split(",")
    inputs, shape, unknown, number = ours(raw, model, shapes)
    ref = theirs(model, inputs)
    scalars = [n for n, s in ref.items() if s == () and shape.get(n) == (1,) and 0 < number["version"] < 2005000]
    for n in scalars:
        ref[n] = (1,)
    bad = ["%s is %s, Paddle has %s" % (n, shape.get(n), s) for n, s in ref.items()
           if shape.get(n) is not None and shape[n] != s]
    missing = sorted(n for n, s in ref.items() if shape.get(n) is None)
    print("# %s: %d equal, %d differ, %d unknown %s, %d scalars of old programs; inputs %s; nodes without shapes: %s; macs %s" %
          (item, len(ref) - len(bad) - len(missing), len(bad), len(missing), missing, len(scalars),
           {n: s for n, (_, s) in inputs.items()}, unknown, number["macs"]))
    for line in bad[:20]:
        print("# " + line)
    return not bad


raw, *items = sys.argv[1:]
paddle.enable_static()
lib.each(items, lambda item: compare(os.path.abspath(raw), item), "shapes of")
