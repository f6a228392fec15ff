"""Runs uses of operators (op_table.Use) in Paddle, one by one or many in one program."""
import numpy as np
import paddle
from paddle.base import core
from op_table import CODE

paddle.enable_static()
# Operators that Paddle 2.6 no longer has, by one that computes the same.
SAME_AS = {"flatten": "flatten2", "reshape": "reshape2", "squeeze": "squeeze2",
           "unsqueeze": "unsqueeze2"}
EXE = paddle.static.Executor(paddle.CPUPlace())


def add(block, k, name, use):
    """Appends the operator to the block; returns the feed and the names of the outputs."""
    feed, ins, outs = {}, {}, {}
    for slot, arrays in use.inputs.items():
        ins[slot] = []
        for i, a in enumerate(arrays):
            v = f"in{k}_{slot}_{i}"
            block.create_var(name=v, shape=a.shape, dtype=str(a.dtype), is_data=True,
                             need_check_feed=False, lod_level=1 if slot in use.lods else 0)
            ins[slot].append(v)
            feed[v] = a
            if slot in use.lods:
                o = use.lods[slot]
                feed[v] = paddle.base.create_lod_tensor(
                    a, [[b - c for b, c in zip(o[1:], o)]], paddle.CPUPlace())
    for slot, n in use.outputs.items():
        outs[slot] = [f"out{k}_{slot}_{i}" for i in range(n)]
        for v in outs[slot]:
            block.create_var(name=v, dtype="float32", persistable=False)
    if name in SAME_AS:
        outs["XShape"] = [f"out{k}_XShape"]
        block.create_var(name=outs["XShape"][0], dtype="float32", persistable=False)
    block.append_op(type=SAME_AS.get(name, name), inputs=ins, outputs=outs, attrs=dict(use.attrs))
    return feed, outs


def run(name, use):
    """The outputs (slot -> list of arrays), or the first line of Paddle's complaint."""
    if use.formula:
        got = use.formula()
        return got, {k: [[]] * len(v) for k, v in got.items()}
    program = paddle.static.Program()
    try:
        with paddle.static.program_guard(program):
            feed, outs = add(program.global_block(), 0, name, use)
            names = [v for s, vs in outs.items() if s in use.outputs and s not in use.skip for v in vs]
            got = EXE.run(program, feed=feed, fetch_list=names, return_numpy=False)
    except Exception as e:  # noqa: BLE001: whatever Paddle raises
        return " ".join(t.strip() for t in str(e).splitlines() if "rror" in t or "index" in t)
    by_slot = [s for s in use.outputs if s not in use.skip]
    by = dict(zip(names, [np.array(t) for t in got]))
    lods = {v: t.lod() for v, t in zip(names, got)}
    return {s: [by[v] for v in vs] for s, vs in outs.items() if s in by_slot}, {
        s: [lods[v] for v in vs] for s, vs in outs.items() if s in by_slot}
