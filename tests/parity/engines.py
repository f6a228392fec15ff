#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the outputs of the fast engine with those of the exact one.

    tests/parity/engines.py QSLIM WORK_FOLDER MODEL[,NAME=1x3x224x224]...

Inputs as in run_models.py. Floats must agree to a relative L2 error of 1e-4 for each output, integers exactly; the
rows that a detector finds, in any order (scores that are nearly equal change places). In
models with fake quantization a rounding that goes the other way changes all that follows it: there activations that
are quantized are inputs, with the values of the exact engine. Prints TAP."""
import os
import sys

import lib
import numpy as np
from run_models import FAKE, cut_at_quantizers, error, make_inputs, save_inputs

BOUND = 1e-4


def outputs(qslim, model, arg, folder, *how):
    done = lib.call(qslim, "run", model, *arg, "--output", folder, "--force", *how)
    return {t["name"]: np.load(t["file"]) for t in done["outputs"]}, done


def same_order(found, want):
    """Rows of `found`, each in the place of the row of `want` that is nearest."""
    if found.shape != want.shape or want.ndim != 2 or want.shape[1] != 6:
        return found
    out, free = found.copy(), list(range(len(found)))
    for i, row in enumerate(want):
        k = min(free, key=lambda j: float(np.abs(found[j] - row).sum()))
        out[i] = found[k]
        free.remove(k)
    return out


def compare(qslim, work, item):
    model, *shapes = item.split(",")
    title = os.path.basename(model.rstrip("/"))
    folder = os.path.join(work, title)
    os.makedirs(folder, exist_ok=True)
    feed = make_inputs(qslim, model, shapes)
    ops = set(lib.call(qslim, "info", model)["ops"])
    if FAKE & ops:
        tensors, _ = outputs(qslim, model, save_inputs(feed, folder), os.path.join(folder, "all"), "--all")
        more, model = cut_at_quantizers(model, os.path.join(folder, "cut"), tensors)
        feed.update(more)
    arg = save_inputs(feed, folder)
    fast, done = outputs(qslim, model, arg, os.path.join(folder, "fast"))
    exact, slow = outputs(qslim, model, arg, os.path.join(folder, "exact"), "--exact")
    if {"multiclass_nms", "multiclass_nms3"} & ops:
        fast = {n: same_order(fast[n], exact[n]) for n in exact}
    worst = max(error(fast[n], exact[n]) for n in exact)
    print("# %-32s %-5s %2d outputs, worst %.1e; tensors %.1f and %.1f MB, parameters %.1f and %.1f MB" %
          (title, done["engine"], len(exact), worst, done["peak_bytes"] / 1e6, slow["peak_bytes"] / 1e6,
           done["param_bytes"] / 1e6, slow["param_bytes"] / 1e6))
    return slow["engine"] == "exact" and sorted(fast) == sorted(exact) and worst <= BOUND


def main():
    qslim, work, *items = sys.argv[1:]
    lib.each(items, lambda item: compare(os.path.abspath(qslim), work, item), "both engines agree on")


if __name__ == "__main__":
    main()
