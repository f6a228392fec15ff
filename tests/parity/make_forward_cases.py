#!/usr/bin/env python3
"""Writes tests/forward/*.case: random uses of operators and what Paddle computes for them.

make_forward_cases.py OUT.case [--draws N] [--seed N] [--ops a,b,...]

Run it with the Python that has paddlepaddle 2.6.
"""
import argparse
import os
import re
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import op_table  # noqa: E402


# What qslim has to refuse as well. It may compute more: other types, empty slices.
WRONG_INDEX = re.compile("OutOfRange|out of bound|Illegal index")


def number(v, dtype):
    if dtype == "bool":
        return "1" if v else "0"
    return repr(float("%.9g" % v)) if dtype == "float32" else repr(v)


def tensor(a, lod=None):
    dims = "x".join(str(d) for d in a.shape) or "scalar"
    t = str(a.dtype)
    seq = "@" + ",".join(str(v) for v in lod) if lod else ""
    flat = a.reshape(-1).tolist()
    return f"{dims}:{t}{seq}{{{','.join(number(v, t) for v in flat)}}}"


def attr(name, v):
    if isinstance(v, (bool, np.bool_)):
        return f"{name}={'true' if v else 'false'}"
    if isinstance(v, str):
        return f'{name}="{v}"'
    if isinstance(v, (list, tuple)):
        one = [("%d" % x) if isinstance(x, (bool, int, np.integer)) else repr(float(x)) for x in v]
        return f"{name}=[{','.join(one)}]"
    return f"{name}={repr(float(v))}" if isinstance(v, float) else f"{name}={int(v)}"


def slots(values, lods):
    return " ".join(f"{s}=" + "+".join(tensor(np.asarray(a), lods.get(s)) for a in vs)
                    for s, vs in values.items())


def line(name, use, result):
    attrs = [attr(k, v) for k, v in use.attrs.items()]
    if use.tol:
        attrs.insert(0, f"@tol={use.tol!r}")
    if isinstance(result, str):
        want = "error:"
        # what the rule needs to make its outputs
        want += "".join(f" {s}*{n}" for s, n in use.outputs.items())
    else:
        want = slots(result[0], {})
    return f"{name} | {' '.join(attrs)} | {slots(use.inputs, use.lods)} | {want}"


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("out")
    ap.add_argument("--draws", type=int, default=3)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--ops")
    a = ap.parse_args()
    import paddle_ops
    names = a.ops.split(",") if a.ops else list(op_table.OPS)
    with open(a.out, "w") as f:
        for name in names:
            bad = 0
            for k in range(a.draws):
                seed = (a.seed * 1000003 + k * 7919 + sum(map(ord, name)) * 31) % 2**32
                use = op_table.OPS[name](np.random.RandomState(seed))
                result = paddle_ops.run(name, use)
                if isinstance(result, str) and not WRONG_INDEX.search(result):
                    bad += 1
                    if bad == 1:
                        print(f"{name}: {result[:200]}", file=sys.stderr)
                    continue
                f.write(line(name, use, result) + "\n")
            if bad:
                print(f"{name}: Paddle refuses {bad} of {a.draws}", file=sys.stderr)


main()
