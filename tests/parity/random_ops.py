#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random uses of operators (op_table.py) in `qslim run` and in Paddle.

    tests/parity/random_ops.py QSLIM WORK_FOLDER [--draws N] [--seed N] [--ops a,b,...]

The draws of an operator go into one program, which both run on the same arrays. Draws that Paddle
refuses are left out, as are operators it no longer has and those with sequence offsets, which no
array file holds (tests/unit/test_forward_data.c has both). Prints TAP, one line per operator, and the seed. Needs
paddle 2.6."""
import argparse
import os
import shutil
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import op_table  # noqa: E402
import paddle_ops  # noqa: E402  (quietens Paddle and turns the static mode on)
import paddle  # noqa: E402
from paddle.base import core  # noqa: E402


def build(folder, name, uses):
    """Writes the program and the arrays; returns options of qslim and the names of the outputs."""
    program = paddle.static.Program()
    block = program.global_block()
    feeds, fetches = {}, {}
    for k, use in enumerate(uses):
        feed, outs = paddle_ops.add(block, k, name, use)
        feeds.update(feed)
        for slot, names in outs.items():
            for i, v in enumerate(names):
                if slot in use.outputs and slot not in use.skip:
                    fetches[v] = (k, slot, i)
    block.create_var(name="feed", type=core.VarDesc.VarType.FEED_MINIBATCH, persistable=True)
    block.create_var(name="fetch", type=core.VarDesc.VarType.FETCH_LIST, persistable=True)
    for col, v in enumerate(feeds):
        block._prepend_op(type="feed", inputs={"X": ["feed"]}, outputs={"Out": [v]},
                          attrs={"col": col})
    for col, v in enumerate(fetches):
        block.append_op(type="fetch", inputs={"X": [v]}, outputs={"Out": ["fetch"]},
                        attrs={"col": col})
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(f"{folder}/model.pdmodel", "wb") as f:
        f.write(program.desc.serialize_to_string())
    options = []
    for v, a in feeds.items():
        np.save(f"{folder}/{v}.npy", a)
        options += ["-i", f"{v}={folder}/{v}.npy"]
    return options, fetches


def far(got, want, tol):
    """Why two arrays differ; None when they do not."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}"
    if want.dtype.kind != "f":
        bad = got != want
    else:
        x, y = got.astype("float64"), want.astype("float64")
        with np.errstate(invalid="ignore"):
            bad = ~((x == y) | (np.isnan(x) & np.isnan(y)) | (np.abs(x - y) <= tol * (1 + np.abs(y))))
    if not bad.any():
        return None
    at = tuple(int(v) for v in np.argwhere(bad)[0]) if bad.ndim else ()
    return f"element {list(at)} is {got[at]!r} instead of {want[at]!r}, {int(bad.sum())} differ"


def qslim_run(qslim, folder, name, uses):
    """(k, slot, i) -> array, or the message of qslim."""
    options, fetches = build(folder, name, uses)
    r = subprocess.run([qslim, "run", "-q", f"{folder}/model.pdmodel", *options, "-o",
                        f"{folder}/out"], capture_output=True, text=True)
    if r.returncode:
        return r.stderr.strip().splitlines()[-1] if r.stderr.strip() else f"status {r.returncode}"
    return {key: np.load(f"{folder}/out/{v}.npy") for v, key in fetches.items()}


def compare(qslim, folder, name, uses, wants):
    """Messages, one per draw that differs."""
    got = qslim_run(qslim, folder, name, uses)
    if isinstance(got, str):
        if len(uses) == 1:
            return [f"qslim refuses: {got} {uses[0].attrs}"]
        return [m for u, w in zip(uses, wants) for m in compare(qslim, folder, name, [u], [w])]
    bad = []
    for k, (use, want) in enumerate(zip(uses, wants)):
        for slot, arrays in want.items():
            for i, a in enumerate(arrays):
                why = far(got[k, slot, i], np.asarray(a), use.tol)
                if why:
                    bad.append(f"{slot} {i} {why}: {use.attrs} "
                               f"{ {s: [x.shape for x in v] for s, v in use.inputs.items()} }")
    return bad


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("qslim")
    ap.add_argument("work")
    ap.add_argument("--draws", type=int, default=50)
    ap.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "little"))
    ap.add_argument("--ops")
    ap.add_argument("--batch", type=int, default=40)
    a = ap.parse_args()
    names = a.ops.split(",") if a.ops else list(op_table.OPS)
    print(f"# --seed {a.seed}\n1..{len(names)}")
    failed = 0
    for number, name in enumerate(names, 1):
        uses, wants, bad = [], [], []
        for k in range(a.draws):
            use = op_table.OPS[name](np.random.RandomState((a.seed * 1000003 + k * 7919 + number) % 2**32))
            if use.lods or use.formula or use.wrong:
                continue
            got = paddle_ops.run(name, use)
            if not isinstance(got, str):
                uses.append(use)
                wants.append(got[0])
        for i in range(0, len(uses), a.batch):
            bad += compare(a.qslim, f"{a.work}/{name}", name, uses[i:i + a.batch], wants[i:i + a.batch])
        for text in bad[:5]:
            print("#", text)
        failed += bool(bad)
        print(f"{'not ok' if bad else 'ok'} {number} - {name}: {len(bad)} of {len(uses)} uses differ",
              flush=True)
        shutil.rmtree(f"{a.work}/{name}", ignore_errors=True)
    return 1 if failed else 0


sys.exit(main())
