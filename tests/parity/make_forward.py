#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/forward/<family>.case: what Paddle computes for single operators on small tensors.

    tests/parity/make_forward.py FOLDER [FAMILY...]

Only attributes named here are written, so the defaults of the operators are tested too. Needs
paddle 2.6. Cases without expected outputs here are run by Paddle; see test_forward.c for the form."""
import os
import sys

os.environ.setdefault("GLOG_minloglevel", "3")
os.environ.setdefault("FLAGS_call_stack_level", "0")
import numpy as np
import paddle

paddle.enable_static()
rng = np.random.default_rng(20)


def f(*dims, low=-2.0, high=2.0):
    return np.round(rng.uniform(low, high, dims), 3).astype(np.float32)


def ints(*dims, low=-9, high=9, kind=np.int64):
    return rng.integers(low, high, dims).astype(kind)


def conv():
    x, w = f(1, 4, 5, 4), f(2, 4, 3, 3, low=-0.5, high=0.5)
    one = f(3, 4, 1, 1)
    for attr in ({}, {"paddings": [1, 1]}, {"paddings": [1, 2], "strides": [2, 1]}, {"paddings": [0, 1, 2, 1]},
                 {"dilations": [2, 1]}, {"padding_algorithm": "SAME", "strides": [2, 2]}, {"padding_algorithm": "VALID"}):
        yield "conv2d", attr, {"Input": x, "Filter": w}, ["Output"]
        yield "conv2d_transpose", attr, {"Input": x, "Filter": f(4, 2, 3, 3)}, ["Output"]
    yield "conv2d", {}, {"Input": x, "Filter": one}, ["Output"]
    yield "conv2d", {"strides": [2, 2]}, {"Input": x, "Filter": one}, ["Output"]
    yield "conv2d", {"groups": 2, "paddings": [1, 1]}, {"Input": f(2, 4, 3, 3), "Filter": f(6, 2, 3, 3)}, ["Output"]
    yield "conv2d", {"groups": 4, "paddings": [1, 1]}, {"Input": x, "Filter": f(4, 1, 3, 3)}, ["Output"]
    yield "conv2d", {"data_format": "NHWC", "paddings": [1, 1]}, {"Input": f(2, 4, 3, 4), "Filter": w}, ["Output"]
    for attr in ({"paddings": [1, 1]}, {"strides": [2, 2], "paddings": [2, 2], "dilations": [1, 2]}, {"strides": [2, 1], "padding_algorithm": "SAME"}):
        yield "depthwise_conv2d", dict(attr, groups=4), {"Input": x, "Filter": f(4, 1, 3, 3)}, ["Output"]
        yield "depthwise_conv2d", dict(attr, groups=4), {"Input": x, "Filter": f(8, 1, 3, 3)}, ["Output"]
        if "dilations" not in attr:
            yield "depthwise_conv2d_transpose", dict(attr, groups=4), {"Input": x, "Filter": f(4, 1, 3, 3)}, ["Output"]
    yield "conv2d_transpose", {"strides": [2, 2], "output_padding": [1, 1]}, {"Input": x, "Filter": f(4, 3, 2, 2)}, ["Output"]
    yield "conv2d_transpose", {"strides": [2, 2], "groups": 2}, {"Input": x, "Filter": f(4, 3, 3, 2)}, ["Output"]
    yield "conv2d_transpose", {"strides": [2, 2], "output_size": [11, 9]}, {"Input": x, "Filter": f(4, 3, 2, 2)}, ["Output"]
    yield "conv2d_transpose", {"data_format": "NHWC", "strides": [2, 2]}, {"Input": f(1, 3, 2, 4), "Filter": f(4, 3, 2, 2)}, ["Output"]


def pool():
    x = f(1, 2, 7, 6)
    for kind in "max", "avg":
        for attr in ({"ksize": [2, 2]}, {"ksize": [3, 2], "strides": [2, 2], "paddings": [1, 0]}, {"ksize": [3, 3], "strides": [2, 2], "ceil_mode": True},
                     {"ksize": [3, 3], "strides": [2, 2], "ceil_mode": True, "paddings": [1, 1], "exclusive": False},
                     {"ksize": [3, 3], "paddings": [1, 1], "exclusive": False}, {"ksize": [3, 3], "paddings": [0, 1, 2, 1]}, {"ksize": [1, 1], "global_pooling": True},
                     {"ksize": [3, 4], "adaptive": True}, {"ksize": [1, 1], "adaptive": True}, {"ksize": [3, 3], "strides": [2, 2], "padding_algorithm": "SAME"}):
            yield "pool2d", dict(attr, pooling_type=kind), {"X": x}, ["Out"]
        yield "pool2d", {"ksize": [2, 2], "pooling_type": kind, "data_format": "NHWC"}, {"X": f(1, 4, 5, 3)}, ["Out"]
    yield "max_pool2d_with_index", {"ksize": [2, 2], "strides": [2, 2]}, {"X": x}, ["Out", "Mask"]


def activation():
    x, pos, unit = f(2, 13, low=-7, high=7), f(2, 5, low=0.1, high=3), f(2, 5, low=-0.9, high=0.9)
    for op in ("abs atan ceil celu cos cosh elu erf exp expm1 floor gelu hard_shrink hard_sigmoid hard_swish leaky_relu logsigmoid mish "
               "reciprocal relu relu6 selu sigmoid sign silu sin sinh softplus softshrink softsign square swish tan tanh tanh_shrink "
               "thresholded_relu round").split():
        yield op, {}, {"X": x}, ["Out"]
    for op in "log log10 log1p log2 rsqrt sqrt".split():
        yield op, {}, {"X": pos}, ["Out"]
    for op in "acos", "asin":
        yield op, {}, {"X": unit}, ["Out"]
    yield "gelu", {"approximate": True}, {"X": x}, ["Out"]
    yield "hard_sigmoid", {"slope": 0.16666667, "offset": 0.5}, {"X": x}, ["Out"]
    yield "leaky_relu", {"alpha": 0.1}, {"X": x}, ["Out"]
    yield "elu", {"alpha": 0.5}, {"X": x}, ["Out"]
    yield "swish", {"beta": 1.5}, {"X": x}, ["Out"]
    yield "softplus", {"beta": 2.0, "threshold": 3.0}, {"X": x}, ["Out"]
    yield "sigmoid", {}, {"X": np.array([np.nan, 200, -200, 0], np.float32)}, ["Out"]
    yield "abs", {}, {"X": ints(7)}, ["Out"]
    yield "prelu", {"mode": "all"}, {"X": f(2, 3, 4), "Alpha": f(1)}, ["Out"]
    yield "prelu", {"mode": "channel"}, {"X": f(2, 3, 4, 2), "Alpha": f(3)}, ["Out"]
    yield "prelu", {"mode": "element"}, {"X": f(2, 3, 4), "Alpha": f(1, 3, 4)}, ["Out"]
    yield "softmax", {}, {"X": x}, ["Out"]
    yield "softmax", {"axis": 1}, {"X": f(2, 3, 4)}, ["Out"]
    yield "softmax", {}, {"X": f(1, 4, low=200, high=300)}, ["Out"]
    yield "log_softmax", {"axis": 0}, {"X": f(4, 3)}, ["Out"]
    yield "dropout", {"is_test": True, "dropout_prob": 0.3}, {"X": x}, ["Out"]
    yield "dropout", {"is_test": True, "dropout_prob": 0.3, "dropout_implementation": "upscale_in_train"}, {"X": x}, ["Out"]


def elementwise():
    x, y = f(2, 3, 4), f(2, 3, 4, low=0.5, high=3)
    for op in "add sub mul div max min floordiv mod".split():
        yield "elementwise_" + op, {}, {"X": ints(3, 4), "Y": ints(4, low=1, high=5)}, ["Out"]
        yield "elementwise_" + op, {}, {"X": ints(5, kind=np.int32), "Y": ints(5, low=-5, high=-1, kind=np.int32)}, ["Out"]
        if op != "floordiv":
            yield "elementwise_" + op, {}, {"X": x, "Y": y}, ["Out"]
    yield "elementwise_pow", {}, {"X": y, "Y": x}, ["Out"]
    for dims, axis in (((3, 4), -1), ((4,), -1), ((3,), 1), ((2, 3), 0), ((1,), -1), ((3, 1), 1), ((2, 1, 1), 0)):
        yield "elementwise_sub", {"axis": axis}, {"X": x, "Y": f(*dims)}, ["Out"]
    yield "elementwise_sub", {}, {"X": f(4), "Y": x}, ["Out"]
    yield "elementwise_mul", {}, {"X": f(2, 1, 4), "Y": f(1, 3, 1)}, ["Out"]
    yield "elementwise_add", {}, {"X": f(2, 3).astype(np.float64), "Y": f(3).astype(np.float64)}, ["Out"]
    yield "elementwise_max", {}, {"X": np.array([1, np.nan, 3], np.float32), "Y": np.array([2, 1, np.nan], np.float32)}, ["Out"]
    yield "scale", {"scale": 2.5, "bias": 1.0}, {"X": x}, ["Out"]
    yield "scale", {"scale": 2.5, "bias": 1.0, "bias_after_scale": False}, {"X": x}, ["Out"]
    yield "scale", {"scale": 3.0, "bias": -2.0}, {"X": ints(6)}, ["Out"]
    yield "scale", {"bias": 1.0}, {"X": x, "ScaleTensor": f(1)}, ["Out"]


def matmul():
    yield "mul", {}, {"X": f(3, 4), "Y": f(4, 5)}, ["Out"]
    yield "mul", {"x_num_col_dims": 2, "y_num_col_dims": 2}, {"X": f(2, 3, 4), "Y": f(2, 2, 5)}, ["Out"]
    yield "mul", {}, {"X": f(2, 2, 3), "Y": f(6, 3)}, ["Out"]
    for op, a, b in (("matmul_v2", "trans_x", "trans_y"), ("matmul", "transpose_X", "transpose_Y")):
        yield op, {}, {"X": f(3, 4), "Y": f(4, 5)}, ["Out"]
        yield op, {a: True}, {"X": f(4, 3), "Y": f(4, 5)}, ["Out"]
        yield op, {b: True}, {"X": f(2, 3, 4), "Y": f(5, 4)}, ["Out"]
        yield op, {a: True, b: True}, {"X": f(2, 4, 3), "Y": f(2, 5, 4)}, ["Out"]
        yield op, {}, {"X": f(2, 3, 3, 4), "Y": f(2, 3, 4, 2)}, ["Out"]
        yield op, {}, {"X": f(4), "Y": f(4)}, ["Out"]
    yield "matmul_v2", {}, {"X": f(2, 1, 3, 4), "Y": f(3, 4, 2)}, ["Out"]
    yield "matmul_v2", {}, {"X": f(4), "Y": f(2, 4, 3)}, ["Out"]
    yield "matmul_v2", {}, {"X": f(2, 3, 4), "Y": f(4)}, ["Out"]
    yield "matmul", {"alpha": 0.5}, {"X": f(3, 4), "Y": f(4, 5)}, ["Out"]
    yield "bmm", {}, {"X": f(3, 2, 4), "Y": f(3, 4, 5)}, ["Out"]
    yield "fc", {"in_num_col_dims": 2}, {"Input": f(2, 3, 4), "W": f(4, 5), "Bias": f(5)}, ["Out"]
    yield "fc", {"activation_type": "relu"}, {"Input": f(3, 4), "W": f(4, 5), "Bias": f(5)}, ["Out"]


def norm():
    x = f(2, 4, 3, 5)
    c = {"Scale": f(4), "Bias": f(4)}
    run = {"Mean": f(4), "Variance": f(4, low=0.2, high=2)}
    yield "batch_norm", {"is_test": True}, dict(c, X=x, **run), ["Y"]
    yield "batch_norm", {"is_test": True, "epsilon": 0.001, "data_layout": "NHWC"}, dict(c, X=f(2, 3, 5, 4), **run), ["Y"]
    yield "batch_norm", {"is_test": True}, dict(c, X=f(6, 4), **run), ["Y"]
    yield "batch_norm", {"use_global_stats": True}, dict(c, X=x, **run), ["Y"]
    yield "batch_norm", {}, dict(c, X=x, **run), ["Y"]
    yield "layer_norm", {"begin_norm_axis": 2}, {"X": f(2, 3, 8), "Scale": f(8), "Bias": f(8)}, ["Y"]
    yield "layer_norm", {"begin_norm_axis": 1, "epsilon": 0.001}, {"X": f(3, 2, 4)}, ["Y"]
    yield "instance_norm", {}, dict(c, X=x), ["Y"]
    yield "group_norm", {"groups": 2}, dict(c, X=x), ["Y"]
    yield "group_norm", {"groups": 2, "data_layout": "NHWC"}, dict(c, X=f(2, 3, 5, 4)), ["Y"]
    yield "norm", {"axis": 1}, {"X": f(2, 3, 4)}, ["Out"]
    yield "norm", {"axis": -1, "epsilon": 0.1}, {"X": f(2, 3, 4)}, ["Out"]


def reduce():
    x = f(2, 3, 4, 5)
    for op in "sum mean max min prod".split():
        yield "reduce_" + op, {"dim": [2]}, {"X": x}, ["Out"]
        yield "reduce_" + op, {"dim": [0, -1], "keep_dim": True}, {"X": f(2, 3, 4)}, ["Out"]
        if op != "mean":
            yield "reduce_" + op, {"dim": [1]}, {"X": ints(2, 3, 2, low=-4, high=5)}, ["Out"]
    yield "reduce_sum", {"reduce_all": True, "dim": [0]}, {"X": x}, ["Out"]
    yield "reduce_mean", {"dim": [1, 2]}, {"X": x}, ["Out"]
    yield "reduce_max", {"dim": [1, 3]}, {"X": x}, ["Out"]
    yield "reduce_all", {"dim": [1]}, {"X": np.array([[1, 1], [0, 1]], bool)}, ["Out"]
    yield "reduce_any", {"dim": [1]}, {"X": np.array([[0, 0], [0, 1]], bool)}, ["Out"]
    yield "mean", {}, {"X": x}, ["Out"]
    for p in 0.0, 1.0, 2.0, 3.0, np.inf, -np.inf:
        yield "p_norm", {"porder": p, "axis": 1}, {"X": f(2, 3, 4)}, ["Out"]
    yield "p_norm", {"porder": 2.0, "axis": -1, "keepdim": True}, {"X": f(2, 3)}, ["Out"]
    yield "frobenius_norm", {"dim": [1, 2]}, {"X": f(2, 3, 4)}, ["Out"]


def recurrent():
    t, b, i, h = 3, 2, 4, 3
    for mode, g in ("LSTM", 4), ("GRU", 3), ("RNN_TANH", 1), ("RNN_RELU", 1):
        for layers, dirs in (1, 1), (2, 2):
            w, bias = [], []
            for layer in range(layers):
                for _ in range(dirs):
                    w += [f(g * h, i if layer == 0 else dirs * h, low=-0.5, high=0.5), f(g * h, h, low=-0.5, high=0.5)]
                    bias += [f(g * h), f(g * h)]
            state = [f(layers * dirs, b, h) for _ in range(2 if mode == "LSTM" else 1)]
            attr = {"mode": mode, "hidden_size": h, "input_size": i, "num_layers": layers, "is_bidirec": dirs == 2, "is_test": True}
            slots = {"Input": f(t, b, i), "PreState": state, "WeightList": w + bias}
            yield "rnn", attr, slots, ["Out", "State"]
    slots = dict(slots, SequenceLength=np.array([3, 2], np.int32))
    yield "rnn", attr, slots, ["Out", "State"]
    x = f(4, 4 * h, low=-1, high=1)
    for attr in {}, {"is_reverse": True}, {"use_peepholes": False}:
        bias = f(1, 4 * h if "use_peepholes" in attr else 7 * h)
        yield "lstm", attr, {"Input": x, "Weight": f(h, 4 * h), "Bias": bias}, ["Hidden", "Cell"]
    yield "lstm", {}, {"Input": x, "Weight": f(h, 4 * h), "Bias": f(1, 7 * h), "H0": f(1, h), "C0": f(1, h)}, ["Hidden", "Cell"]
    x = f(4, 3 * h, low=-1, high=1)
    for attr in {}, {"is_reverse": True}, {"origin_mode": True}:
        yield "gru", attr, {"Input": x, "Weight": f(h, 3 * h), "Bias": f(1, 3 * h)}, ["Hidden"]
    yield "gru", {}, {"Input": x, "Weight": f(h, 3 * h), "H0": f(1, h)}, ["Hidden"]
    yield "gru_unit", {}, {"Input": x, "Weight": f(h, 3 * h), "HiddenPrev": f(4, h), "Bias": f(1, 3 * h)}, ["Hidden"]


def interp():
    x = f(1, 2, 4, 5)
    for kind in "nearest", "bilinear", "bicubic":
        for corners in True, False:
            for mode in (0, 1) if kind == "bilinear" and not corners else (1,):
                attr = {"interp_method": kind, "align_corners": corners, "align_mode": mode}
                yield kind + "_interp_v2", dict(attr, out_h=7, out_w=3), {"X": x}, ["Out"]
                yield kind + "_interp_v2", dict(attr, scale=[2.0, 1.5]), {"X": x}, ["Out"]
    yield "nearest_interp", {"interp_method": "nearest", "scale": 2.0, "align_corners": False}, {"X": x}, ["Out"]
    yield "bilinear_interp", {"interp_method": "bilinear", "out_h": 6, "out_w": 9}, {"X": x}, ["Out"]
    yield "bilinear_interp_v2", {"interp_method": "bilinear", "align_corners": False, "align_mode": 0, "out_h": 3, "out_w": 7, "data_layout": "NHWC"}, {"X": f(1, 4, 5, 2)}, ["Out"]
    yield "nearest_interp_v2", {"interp_method": "nearest", "align_corners": False}, {"X": x, "OutSize": np.array([8, 3], np.int32)}, ["Out"]
    yield "bilinear_interp_v2", {"interp_method": "bilinear", "align_corners": False, "align_mode": 0}, {"X": x, "Scale": np.array([1.5], np.float32)}, ["Out"]


def embedding():
    w = f(6, 3)
    yield "lookup_table_v2", {}, {"Ids": ints(2, 4, low=0, high=6), "W": w}, ["Out"]
    yield "lookup_table_v2", {"padding_idx": 2}, {"Ids": np.array([2, 1, 2]), "W": w}, ["Out"]
    yield "lookup_table", {"padding_idx": 0}, {"Ids": ints(4, 1, low=0, high=6), "W": w}, ["Out"]


FAMILIES = [conv, pool, activation, elementwise, matmul, norm, reduce, recurrent, interp, embedding]
OPTIONAL = {"batch_norm": ["MeanOut", "VarianceOut", "SavedMean", "SavedVariance", "ReserveSpace"], "layer_norm": ["Mean", "Variance"],
            "instance_norm": ["SavedMean", "SavedVariance"], "group_norm": ["Mean", "Variance"], "norm": ["Norm"],
            "dropout": ["Mask"], "rnn": ["DropoutState", "Reserve"], "lstm": ["BatchGate", "BatchCellPreAct"],
            "gru": ["BatchGate", "BatchResetHiddenPrev", "BatchHidden"], "gru_unit": ["Gate", "ResetHiddenPrev"]}


def compute(op, attrs, inputs, outputs):
    prog = paddle.static.Program()
    block = prog.global_block()
    feed, ins, outs = {}, {}, {}
    for slot, value in inputs.items():
        ins[slot] = []
        for k, v in enumerate(value if isinstance(value, list) else [value]):
            name = "%s_%d" % (slot, k)
            block.create_var(name=name, shape=v.shape, dtype=str(v.dtype), lod_level=1 if op in ("lstm", "gru") else 0)
            feed[name] = paddle.base.create_lod_tensor(v, [[len(v)]], paddle.CPUPlace()) if op in ("lstm", "gru") and slot == "Input" else v
            ins[slot].append(name)
    for slot in outputs + OPTIONAL.get(op, []):
        n = len(inputs.get("PreState", [0])) if slot == "State" else 1
        outs[slot] = ["out_%s_%d" % (slot, k) for k in range(n)]
        if op == "batch_norm" and slot in ("MeanOut", "VarianceOut"):
            outs[slot] = ins[slot[:-3]]
            continue
        for name in outs[slot]:
            block.create_var(name=name, dtype="uint8" if slot == "DropoutState" else "float32")
    full = dict({"use_mkldnn": False} if op not in ("fc",) else {}, **attrs)
    block.append_op(type=op, inputs=ins, outputs=outs, attrs=full)
    want = [n for slot in outputs for n in outs[slot]]
    for n in want:
        block.var(n).persistable = True
    exe = paddle.static.Executor(paddle.CPUPlace())
    scope = paddle.static.Scope()
    with paddle.static.scope_guard(scope):
        exe.run(prog, feed=feed, fetch_list=[])
        return {slot: [np.array(scope.find_var(n).get_tensor()) for n in outs[slot]] for slot in outputs}


def text_of(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"%s"' % value
    if isinstance(value, list):
        return "[%s]" % ",".join(text_of(v) for v in value)
    return repr(value)


def tensor(kind, slot, v):
    dims = "x".join(map(str, v.shape)) or "scalar"
    numbers = " ".join("%.9g" % x if v.dtype.kind == "f" else "%d" % x for x in v.ravel())
    return "%s %s %s %s %s\n" % (kind, slot, v.dtype, dims, numbers)


def main():
    folder, names = sys.argv[1], sys.argv[2:]
    for family in FAMILIES:
        if names and family.__name__ not in names:
            continue
        with open(os.path.join(folder, family.__name__ + ".case"), "w") as out:
            out.write("# by tests/parity/make_forward.py; see tests/unit/test_forward.c\n")
            for op, attrs, inputs, outputs in family():
                try:
                    got = compute(op, attrs, inputs, outputs)
                except Exception as e:
                    print(op, attrs, str(e).strip()[-700:])
                    continue
                out.write(" ".join(["op", op] + ["%s=%s" % (k, text_of(v)) for k, v in attrs.items()]) + "\n")
                for slot, value in inputs.items():
                    for v in value if isinstance(value, list) else [value]:
                        out.write(tensor("in", slot, v))
                for slot in outputs:
                    for v in got[slot]:
                        out.write(tensor("out", slot, v))
                out.write("\n")


main()
