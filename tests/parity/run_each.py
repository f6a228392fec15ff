#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every operator of a model in Paddle on the very tensors that it had in `qslim run --all`.

    tests/parity/run_each.py QSLIM WORK_FOLDER MODEL[,NAME=1x3x224x224]...

Unlike run_models.py, what an operator gets wrong is seen at that operator: rounding to few bits
makes small differences grow through a quantized model. Floats must agree to a relative L2 error of
1e-5, elements of quantized tensors but for one step where a value lies between two. Only the main
block; variables that are written twice are left out. Prints TAP. Needs paddle 2.6."""
import os
import sys

import numpy as np
import paddle

import lib
import paddle_files as pf
import run_models as rm

BOUND = 1e-5
STEPS = 1e-3  # share of the elements of a quantized tensor that may be one step off


def one_op(exe, scope, block, op, ours):
    """Outputs of the operator on our inputs."""
    program = paddle.static.Program()
    to = program.global_block()
    for name in set(op.input_arg_names + op.output_arg_names):
        v = block.var(name)
        to.create_var(name=name, shape=v.shape, dtype=v.dtype, type=v.type, persistable=True)
        if name in ours and name in op.input_arg_names and not v.persistable:
            scope.var(name).get_tensor().set(ours[name], paddle.CPUPlace())
    to.desc.append_op().copy_from(op.desc)
    to._sync_with_cpp()
    exe.run(program, scope=scope, fetch_list=[])
    return {n: np.array(scope.find_var(n).get_tensor()) for s in op.output_names if s not in rm.SIDE
            for n in op.output(s)}


def steps_off(a, b):
    """Share of the elements that differ by more than float noise."""
    return float(np.mean(np.abs(a - b) > 1e-5 * (1 + np.abs(b)))) if a.shape == b.shape and a.size else 1.0


def compare(qslim, work, item):
    model, *shapes = item.split(",")
    folder = os.path.join(work, os.path.basename(model.rstrip("/")))
    os.makedirs(folder, exist_ok=True)
    feed = rm.make_inputs(qslim, model, shapes)
    arg = rm.save_inputs(feed, folder)
    done = lib.call(qslim, "run", model, *arg, "--output", f"{folder}/out", "--all", "--force")
    ours = {t["name"]: np.load(t["file"]) for t in done["outputs"]}
    ours.update(feed)
    program, params = pf.files(model)
    exe, scope = paddle.static.Executor(paddle.CPUPlace()), paddle.static.Scope()
    n = bad = 0
    with paddle.static.scope_guard(scope):
        prog, _, _ = paddle.static.load_inference_model(
            os.path.dirname(program), exe, model_filename=os.path.basename(program),
            params_filename=params and os.path.basename(params))
        block = prog.global_block()
        written = [v for op in block.ops for v in op.output_arg_names]
        for op in block.ops:
            twice = any(written.count(v) > 1 for v in op.output_arg_names)
            if op.type in ("feed", "fetch", "while", "conditional_block") or twice:
                continue
            n += 1
            for name, want in one_op(exe, scope, block, op, ours).items():
                if block.var(name).persistable:
                    continue
                e = rm.error(ours[name], want) if name in ours else np.inf
                off = steps_off(ours[name], want) if "quantize" in op.type and BOUND < e < np.inf else 0
                if e > BOUND and not (0 < off < STEPS):
                    bad += 1
                    print(f"# {op.type} {name}: {e:.2e}, {off:.2e} of the elements")
    print(f"# {os.path.basename(model)}: {n} operators, {bad} tensors differ")
    return bad == 0


qslim, work, *items = sys.argv[1:]
paddle.enable_static()
lib.each(items, lambda item: compare(os.path.abspath(qslim), work, item), "every operator of")
