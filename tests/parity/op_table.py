"""One row per operator: how to draw a random use of it.

OPS maps an operator type to a function of a numpy RandomState that returns a Use: attributes,
inputs (slot -> list of arrays), outputs (slot -> how many), tolerance (0: equal), and the lods of
inputs. A draw may be one that Paddle refuses; where an index is out of range qslim refuses it too.
"""
from dataclasses import dataclass, field

import numpy as np

F32, F64, I32, I64, BOOL, U8, I8, I16 = "float32 float64 int32 int64 bool uint8 int8 int16".split()
CODE = {BOOL: 0, I16: 1, I32: 2, I64: 3, F32: 5, F64: 6, U8: 20, I8: 21}


@dataclass
class Use:
    attrs: dict
    inputs: dict
    outputs: dict
    tol: float = 0.0
    lods: dict = field(default_factory=dict)  # slot -> offsets
    skip: tuple = ()  # outputs that are not compared
    formula: object = None  # computes the outputs of an operator that Paddle no longer has


OPS = {}


def op(*names):
    def add(fn):
        for n in names:
            OPS[n] = (lambda r, n=n: fn(r, n))
        return fn
    return add


def shape(r, lo=1, hi=4, most=5):
    return [int(v) for v in r.randint(1, most + 1, r.randint(lo, hi + 1))]


def data(r, dims, dtype=F32, lo=-5, hi=6):
    if dtype in (F32, F64):
        return (r.randn(*dims) * 2).astype(dtype) if dims else np.array(r.randn() * 2, dtype)
    if dtype == BOOL:
        return r.randint(0, 2, dims).astype(bool)
    if dtype == U8:
        lo = max(lo, 0)
    return np.asarray(r.randint(lo, hi, dims), dtype)


def any_type(r, types=(F32, I32, I64, F64, BOOL)):
    return types[r.randint(len(types))]


def coin(r):
    return bool(r.randint(2))


def axis(r, n):
    return int(r.randint(-n, n))


def tensor(v, dtype=I64):
    return np.array(v, dtype)


# Views ---------------------------------------------------------------------------------------

@op("reshape2", "reshape")
def reshape(r, name):
    x = data(r, shape(r), any_type(r))
    rest, want = x.size, []
    while rest > 1 and len(want) < 4:
        f = [k for k in range(1, rest + 1) if rest % k == 0]
        k = int(f[r.randint(len(f))])
        want.append(k)
        rest //= k
    want.append(rest)
    if coin(r):
        want[r.randint(len(want))] = -1
    how = r.randint(3)
    ins, attrs = {"X": [x]}, {"shape": want}
    if how == 1:
        ins["Shape"] = [tensor(want, I32)]
        attrs["shape"] = [-1]
    if how == 2:
        ins["ShapeTensor"] = [tensor([v], I32) for v in want]
        attrs["shape"] = [1] * len(want)
    outs = {"Out": 1, "XShape": 1} if name == "reshape2" else {"Out": 1}
    return Use(attrs, ins, outs, skip=("XShape",))


@op("transpose2", "transpose")
def transpose(r, name):
    x = data(r, shape(r, 1, 5), any_type(r))
    outs = {"Out": 1, "XShape": 1} if name == "transpose2" else {"Out": 1}
    return Use({"axis": [int(v) for v in r.permutation(x.ndim)]}, {"X": [x]}, outs, skip=("XShape",))


@op("flatten2", "flatten")
def flatten(r, name):
    x = data(r, shape(r), any_type(r))
    outs = {"Out": 1, "XShape": 1} if name == "flatten2" else {"Out": 1}
    return Use({"axis": int(r.randint(0, x.ndim + 1))}, {"X": [x]}, outs, skip=("XShape",))


@op("flatten_contiguous_range")
def flatten_range(r, name):
    x = data(r, shape(r), any_type(r))
    a, b = sorted(r.randint(0, x.ndim, 2))
    if coin(r):
        a, b = a - x.ndim, b - x.ndim
    return Use({"start_axis": int(a), "stop_axis": int(b)}, {"X": [x]}, {"Out": 1, "XShape": 1},
               skip=("XShape",))


@op("squeeze2", "squeeze")
def squeeze(r, name):
    x = data(r, [int(v) for v in r.choice([1, 2, 3], r.randint(1, 5))], any_type(r))
    axes = sorted({axis(r, x.ndim) for _ in range(r.randint(0, 3))})
    outs = {"Out": 1, "XShape": 1} if name == "squeeze2" else {"Out": 1}
    return Use({"axes": axes}, {"X": [x]}, outs, skip=("XShape",))


@op("unsqueeze2", "unsqueeze")
def unsqueeze(r, name):
    x = data(r, shape(r, 0), any_type(r))
    axes = [int(r.randint(0, x.ndim + 1)) for _ in range(r.randint(1, 3))]
    outs = {"Out": 1, "XShape": 1} if name == "unsqueeze2" else {"Out": 1}
    return Use({"axes": axes}, {"X": [x]}, outs, skip=("XShape",))


@op("pixel_shuffle")
def pixel_shuffle(r, name):
    k = int(r.randint(1, 4))
    last = coin(r)
    n, c, h, w = shape(r, 4, 4, 3)
    d = [n, h, w, c * k * k] if last else [n, c * k * k, h, w]
    return Use({"upscale_factor": k, "data_format": "NHWC" if last else "NCHW"},
               {"X": [data(r, d)]}, {"Out": 1})


@op("shuffle_channel")
def shuffle_channel(r, name):
    g = int(r.randint(1, 4))
    n, c, h, w = shape(r, 4, 4, 3)
    return Use({"group": g}, {"X": [data(r, [n, c * g, h, w])]}, {"Out": 1})


@op("space_to_depth")
def space_to_depth(r, name):
    k = int(r.randint(2, 4))
    n, c, h, w = shape(r, 4, 4, 3)
    x = data(r, [n, c * k * k, h * k, w * k])

    def formula():  # space_to_depth_op.h of Paddle 2.4
        _, C, H, W = x.shape
        few, flat = C // (k * k), x.reshape(-1)
        out = np.empty_like(flat)
        for at in range(flat.size):
            b, ch, j, i = np.unravel_index(at, x.shape)
            o = ch // few
            out[at] = flat[i * k + o % k + W * k * (j * k + o // k + H * k * (ch % few + few * b))]
        return {"Out": [out.reshape(n, C * k * k, H // k, W // k)]}
    return Use({"blocksize": k}, {"X": [x]}, {"Out": 1}, formula=formula)


# Joining and cutting -------------------------------------------------------------------------

@op("concat")
def concat(r, name):
    d, t = shape(r), any_type(r)
    a = axis(r, len(d))
    xs = []
    for _ in range(r.randint(1, 4)):
        d[a] = int(r.randint(1, 5))
        xs.append(data(r, d, t))
    ins, attrs = {"X": xs}, {"axis": a}
    if r.randint(4) == 0:
        ins["AxisTensor"], attrs["axis"] = [tensor([a], I32)], 0
    return Use(attrs, ins, {"Out": 1})


@op("stack")
def stack(r, name):
    d, t = shape(r, 0), any_type(r)
    return Use({"axis": axis(r, len(d) + 1)}, {"X": [data(r, d, t) for _ in range(r.randint(1, 4))]},
               {"Y": 1})


@op("split")
def split(r, name):
    d, t = shape(r), any_type(r)
    a, n = axis(r, len(d)), int(r.randint(1, 4))
    if coin(r):
        d[a] = n * int(r.randint(1, 4))
        attrs = {"num": n, "sections": [], "axis": a}
    else:
        s = [int(r.randint(1, 4)) for _ in range(n)]
        d[a] = sum(s)
        if coin(r):
            s[r.randint(n)] = -1
        attrs = {"num": 0, "sections": s, "axis": a}
    return Use(attrs, {"X": [data(r, d, t)]}, {"Out": n})


@op("unstack")
def unstack(r, name):
    d = shape(r)
    a = axis(r, len(d))
    return Use({"axis": a, "num": d[a]}, {"X": [data(r, d, any_type(r, (F32, I32, I64)))]},
               {"Y": d[a]})


@op("unbind")
def unbind(r, name):
    d = shape(r)
    a = axis(r, len(d))
    return Use({"axis": a}, {"X": [data(r, d, any_type(r, (F32, I32, I64)))]}, {"Out": d[a]})


@op("slice")
def slice_(r, name):
    d = shape(r)
    axes = sorted(int(v) for v in r.permutation(len(d))[:r.randint(1, len(d) + 1)])
    starts = [int(r.randint(-d[a] - 1, d[a])) for a in axes]
    ends = [int(r.randint(-d[a], d[a] + 3)) for a in axes]
    drop = []
    for i, a in enumerate(axes):
        if r.randint(3) == 0:
            starts[i] = int(r.randint(-d[a], d[a]))
            ends[i] = starts[i] + 1
            drop.append(a)
    ins = {"Input": [data(r, d, any_type(r))]}
    attrs = {"axes": axes, "starts": starts, "ends": ends, "decrease_axis": drop,
             "infer_flags": [1] * len(axes)}
    if r.randint(4) == 0:
        ins["StartsTensor"], ins["EndsTensor"] = [tensor(starts, I32)], [tensor(ends, I32)]
        attrs["starts"] = attrs["ends"] = []
        attrs["infer_flags"] = [-1] * len(axes)
    return Use(attrs, ins, {"Out": 1})


@op("strided_slice")
def strided_slice(r, name):
    d = shape(r)
    axes = sorted(int(v) for v in r.permutation(len(d))[:r.randint(1, len(d) + 1)])
    step = [int(r.choice([-3, -2, -1, 1, 2, 3])) for _ in axes]
    starts = [int(r.randint(-d[a], d[a])) for a in axes]
    ends = [int(r.randint(-d[a] - 1, d[a] + 1)) for a in axes]
    return Use({"axes": axes, "starts": starts, "ends": ends, "strides": step, "decrease_axis": [],
                "infer_flags": [1] * len(axes)},
               {"Input": [data(r, d, any_type(r, (F32, I32, I64)))]}, {"Out": 1})


@op("set_value")
def set_value(r, name):
    d = shape(r, 1, 3)
    t = any_type(r, (F32, I32, I64))
    axes = sorted(int(v) for v in r.permutation(len(d))[:r.randint(1, len(d) + 1)])
    starts = [int(r.randint(0, d[a])) for a in axes]
    steps = [1 if r.randint(3) else 2 for _ in axes]
    ends = [int(r.randint(s + 1, d[a] + 1)) for s, a in zip(starts, axes)]
    drop = []
    size = list(d)
    for i, a in enumerate(axes):
        if r.randint(3) == 0:
            ends[i], steps[i] = starts[i] + 1, 1
            drop.append(a)
        size[a] = -(-(ends[i] - starts[i]) // steps[i])
    vd = [s for i, s in enumerate(size) if i not in drop] or [1]
    vd = [1 if r.randint(4) == 0 else v for v in vd][r.randint(len(vd)):] or [1]
    attrs = {"axes": axes, "starts": starts, "ends": ends, "steps": steps, "decrease_axes": drop,
             "none_axes": [], "dtype": CODE[t], "shape": []}
    return Use(attrs, {"Input": [data(r, d, t)], "ValueTensor": [data(r, vd, t)]}, {"Out": 1})


@op("flip")
def flip(r, name):
    x = data(r, shape(r), any_type(r))
    return Use({"axis": sorted({int(v) for v in r.randint(0, x.ndim, r.randint(1, 3))})}, {"X": [x]},
               {"Out": 1})


@op("roll")
def roll(r, name):
    x = data(r, shape(r), any_type(r, (F32, I32, I64)))
    if coin(r):
        return Use({"axis": [], "shifts": [int(r.randint(-9, 10))]}, {"X": [x]}, {"Out": 1})
    a = [int(v) for v in r.permutation(x.ndim)[:r.randint(1, x.ndim + 1)]]
    return Use({"axis": a, "shifts": [int(r.randint(-9, 10)) for _ in a]}, {"X": [x]}, {"Out": 1})


@op("tril_triu")
def tril_triu(r, name):
    return Use({"diagonal": int(r.randint(-4, 5)), "lower": coin(r)},
               {"X": [data(r, shape(r, 2), any_type(r, (F32, I32, I64)))]}, {"Out": 1})


# Picking -------------------------------------------------------------------------------------

def index(r, size, n, wrong=0.05, dtype=None, low=0):
    v = r.randint(low, size, n)
    if r.rand() < wrong:
        v.reshape(-1)[r.randint(v.size)] = size + 1
    return v.astype(dtype or any_type(r, (I32, I64)))


@op("gather")
def gather(r, name):
    d = shape(r)
    a = int(r.randint(len(d)))
    x = data(r, d, any_type(r, (F32, I32, I64)))
    return Use({"axis": a}, {"X": [x], "Index": [index(r, d[a], r.randint(1, 6))]}, {"Out": 1})


@op("index_select")
def index_select(r, name):
    d = shape(r)
    a = axis(r, len(d))
    return Use({"dim": a}, {"X": [data(r, d, any_type(r, (F32, I32, I64)))],
                            "Index": [index(r, d[a], r.randint(1, 6))]}, {"Out": 1})


@op("gather_nd")
def gather_nd(r, name):
    d = shape(r)
    k = int(r.randint(1, len(d) + 1))
    rows = shape(r, 1, 2, 3)
    i = np.stack([r.randint(0, d[a], rows) for a in range(k)], -1)
    return Use({}, {"X": [data(r, d, any_type(r, (F32, I32, I64)))],
                    "Index": [i.astype(any_type(r, (I32, I64)))]}, {"Out": 1})


@op("take_along_axis")
def take_along_axis(r, name):
    d = shape(r)
    a = int(r.randint(len(d)))
    e = list(d)
    e[a] = int(r.randint(1, 5))
    return Use({"Axis": a}, {"Input": [data(r, d, any_type(r, (F32, I32, I64)))],
                             "Index": [index(r, d[a], e, 0)]}, {"Result": 1})


@op("index_sample")
def index_sample(r, name):
    d = shape(r, 2, 2)
    return Use({}, {"X": [data(r, d, any_type(r, (F32, I32, I64)))],
                    "Index": [index(r, d[1], [d[0], r.randint(1, 6)], 0)]}, {"Out": 1})


@op("scatter")
def scatter(r, name):
    d = shape(r)
    n = int(r.randint(1, 6))
    over = coin(r)
    t = any_type(r, (F32, I32, I64))
    return Use({"overwrite": over},
               {"X": [data(r, d, t)], "Ids": [index(r, d[0], n)],
                "Updates": [data(r, [n] + d[1:], t)]}, {"Out": 1}, tol=1e-6)


@op("scatter_nd_add")
def scatter_nd_add(r, name):
    d = shape(r)
    k, n = int(r.randint(1, len(d) + 1)), int(r.randint(1, 5))
    i = np.stack([r.randint(0, d[a], n) for a in range(k)], -1)
    return Use({}, {"X": [data(r, d)], "Index": [i.astype(I64)],
                    "Updates": [data(r, [n] + d[k:])]}, {"Out": 1}, tol=1e-6)


@op("masked_select")
def masked_select(r, name):
    d = shape(r)
    m = data(r, d, BOOL)
    m.reshape(-1)[0] = True
    return Use({}, {"X": [data(r, d, any_type(r, (F32, I32, I64)))], "Mask": [m]}, {"Y": 1})


@op("where_index")
def where_index(r, name):
    x = data(r, shape(r), any_type(r), -1, 2)
    x.reshape(-1)[0] = 1
    return Use({}, {"Condition": [x]}, {"Out": 1})


@op("where")
def where(r, name):
    d, t = shape(r, 0), any_type(r, (F32, I32, I64))
    return Use({}, {"Condition": [data(r, d, BOOL)], "X": [data(r, d, t)], "Y": [data(r, d, t)]},
               {"Out": 1})


# Repeating -----------------------------------------------------------------------------------

@op("expand_v2")
def expand_v2(r, name):
    want = shape(r, 1, 5)
    d = [1 if r.randint(3) == 0 else v for v in want][r.randint(len(want)):]
    lead = len(want) - len(d)
    attr = [-1 if i >= lead and r.randint(3) == 0 and d[i - lead] == v else v
            for i, v in enumerate(want)]
    ins, attrs = {"X": [data(r, d, any_type(r))]}, {"shape": attr}
    if r.randint(4) == 0:
        ins["Shape"] = [tensor(attr, I32)]
    return Use(attrs, ins, {"Out": 1})


@op("expand_as_v2")
def expand_as_v2(r, name):
    want = shape(r, 1, 5)
    d = [1 if r.randint(3) == 0 else v for v in want][r.randint(len(want)):]
    t = any_type(r)
    return Use({"target_shape": want}, {"X": [data(r, d, t)], "Y": [data(r, want, t)]}, {"Out": 1})


@op("tile")
def tile(r, name):
    return Use({"repeat_times": shape(r, 1, 4, 3)}, {"X": [data(r, shape(r), any_type(r))]},
               {"Out": 1})


@op("expand")
def expand(r, name):
    d = shape(r)
    return Use({"expand_times": shape(r, len(d), len(d), 3)}, {"X": [data(r, d, any_type(r))]},
               {"Out": 1})


@op("meshgrid")
def meshgrid(r, name):
    t = any_type(r, (F32, I32, I64))
    n = int(r.randint(2, 4))
    return Use({}, {"X": [data(r, shape(r, 1, 1), t) for _ in range(n)]}, {"Out": n})


@op("one_hot_v2", "one_hot")
def one_hot(r, name):
    depth = int(r.randint(1, 6))
    any_ = coin(r)
    d = shape(r, 1, 3) + ([1] if name == "one_hot" else [])
    x = index(r, depth, d, 0.2 if name == "one_hot_v2" else 0)

    def formula():
        return {"Out": [np.eye(depth, dtype=F32)[x[..., 0]]]}
    return Use({"depth": depth, "dtype": CODE[F32], "allow_out_of_range": any_}, {"X": [x]},
               {"Out": 1}, formula=formula if name == "one_hot" else None)


@op("pad")
def pad(r, name):
    d = shape(r)
    return Use({"paddings": [int(v) for v in r.randint(0, 4, 2 * len(d))],
                "pad_value": float(r.randint(-3, 4))}, {"X": [data(r, d)]}, {"Out": 1})


@op("pad2d")
def pad2d(r, name):
    mode = ["constant", "reflect", "edge"][r.randint(3)]
    d = [int(v) for v in r.randint(2, 6, 4)]
    p = [int(v) for v in r.randint(0, 2 if mode == "reflect" else 5, 4)]
    last, value, x = coin(r), float(r.randint(-3, 4)), data(r, d)
    pads = [(p[0], p[1]), (p[2], p[3])]
    pads = [(0, 0)] + pads + [(0, 0)] if last else [(0, 0), (0, 0)] + pads
    more = {"constant_values": value} if mode == "constant" else {}
    return Use({"paddings": p, "mode": mode, "pad_value": value,
                "data_format": "NHWC" if last else "NCHW"}, {"X": [x]}, {"Out": 1},
               formula=lambda: {"Out": [np.pad(x, pads, mode=mode, **more).astype(F32)]})


@op("pad3d")
def pad3d(r, name):
    mode = ["constant", "reflect", "replicate", "circular"][r.randint(4)]
    d = [int(v) for v in r.randint(2, 5, 5)]
    most = 2 if mode in ("reflect", "circular") else 4
    return Use({"paddings": [int(v) for v in r.randint(0, most, 6)], "mode": mode,
                "value": float(r.randint(-3, 4)),
                "data_format": "NDHWC" if coin(r) else "NCDHW"}, {"X": [data(r, d)]}, {"Out": 1})


@op("unfold")
def unfold(r, name):
    d = [int(v) for v in r.randint(1, 4, 2)] + [int(v) for v in r.randint(5, 9, 2)]
    pads = [int(v) for v in r.randint(0, 3, 4)]
    return Use({"kernel_sizes": shape(r, 2, 2, 3), "strides": shape(r, 2, 2, 3), "paddings": pads,
                "dilations": shape(r, 2, 2, 2)}, {"X": [data(r, d)]}, {"Y": 1})


@op("im2sequence")
def im2sequence(r, name):
    d = [int(v) for v in r.randint(1, 4, 2)] + [int(v) for v in r.randint(3, 7, 2)]
    return Use({"kernels": shape(r, 2, 2, 3), "strides": shape(r, 2, 2, 3),
                "paddings": [int(v) for v in r.randint(0, 3, 4)]}, {"X": [data(r, d)]}, {"Out": 1})


@op("grid_sampler")
def grid_sampler(r, name):
    n, c, h, w = shape(r, 4, 4, 5)
    grid = (r.rand(n, r.randint(1, 5), r.randint(1, 5), 2) * 3 - 1.5).astype(F32)
    return Use({"mode": ["bilinear", "nearest"][r.randint(2)],
                "padding_mode": ["zeros", "border", "reflection"][r.randint(3)],
                "align_corners": coin(r)}, {"X": [data(r, [n, c, h + 1, w + 1])], "Grid": [grid]},
               {"Output": 1}, tol=2e-5)


# Making --------------------------------------------------------------------------------------

@op("fill_constant")
def fill_constant(r, name):
    t = any_type(r)
    how = r.randint(4)
    attrs = {"shape": shape(r, 0), "dtype": CODE[t], "value": float(r.randint(-4, 5)),
             "str_value": ""}
    ins = {}
    if how == 1:
        attrs["str_value"] = {F32: "inf", F64: "-2.5", I64: "9007199254740993"}.get(t, "3")
    if how == 2:
        ins["ValueTensor"] = [data(r, [1], t)]
    if how == 3:
        ins["ShapeTensor"] = [tensor(shape(r), I32)]
    return Use(attrs, ins, {"Out": 1})


@op("fill_constant_batch_size_like")
def batch_size_like(r, name):
    d = shape(r)
    s = shape(r)
    return Use({"shape": s, "dtype": CODE[any_type(r, (F32, I32, I64))],
                "value": float(r.randint(-4, 5)), "str_value": "",
                "input_dim_idx": int(r.randint(len(d))), "output_dim_idx": int(r.randint(len(s)))},
               {"Input": [data(r, d)]}, {"Out": 1})


@op("fill_any_like")
def fill_any_like(r, name):
    return Use({"value": float(r.randint(-4, 5)),
                "dtype": CODE[any_type(r, (F32, I32, I64))] if coin(r) else -1},
               {"X": [data(r, shape(r), any_type(r, (F32, I32, I64)))]}, {"Out": 1})


@op("fill_zeros_like")
def fill_zeros_like(r, name):
    return Use({}, {"X": [data(r, shape(r), any_type(r, (F32, I32, I64)))]}, {"Out": 1})


@op("assign")
def assign(r, name):
    return Use({}, {"X": [data(r, shape(r, 0), any_type(r))]}, {"Out": 1})


@op("share_data")
def share_data(r, name):
    return Use({}, {"X": [data(r, shape(r), any_type(r, (F32, I32, I64)))]}, {"Out": 1})


@op("assign_value")
def assign_value(r, name):
    t = any_type(r, (F32, I32, I64, BOOL))
    d = shape(r)
    v = data(r, d, t).reshape(-1).tolist()
    lists = {k: [] for k in ("bool_values", "fp32_values", "int32_values", "int64_values")}
    lists[{F32: "fp32_values", I32: "int32_values", I64: "int64_values", BOOL: "bool_values"}[t]] = v
    return Use({"shape": d, "dtype": CODE[t], **lists}, {}, {"Out": 1})


@op("shape")
def shape_(r, name):
    return Use({}, {"Input": [data(r, shape(r), any_type(r))]}, {"Out": 1})


@op("size")
def size(r, name):
    return Use({}, {"Input": [data(r, shape(r), any_type(r))]}, {"Out": 1})


@op("range")
def range_(r, name):
    t = any_type(r, (F32, I32, I64, F64))
    a, n = float(r.randint(-5, 6)), int(r.randint(0, 9))
    s = float(r.choice([-2, -1, 1, 2, 3])) * (1 if t in (I32, I64) else r.choice([0.1, 0.3, 1]))
    return Use({}, {"Start": [tensor([a], t)], "End": [tensor([a + s * n], t)],
                    "Step": [tensor([s], t)]}, {"Out": 1})


@op("linspace")
def linspace(r, name):
    t = any_type(r, (F32, I32, I64))
    return Use({"dtype": CODE[t]}, {"Start": [tensor([r.randint(-9, 9)], t)],
                                    "Stop": [tensor([r.randint(-9, 19)], t)],
                                    "Num": [tensor([r.randint(1, 12)], I32)]}, {"Out": 1}, tol=1e-6)


@op("eye")
def eye(r, name):
    return Use({"num_rows": int(r.randint(1, 6)), "num_columns": int(r.choice([-1, 1, 3, 6])),
                "dtype": CODE[any_type(r, (F32, I32, I64))]}, {}, {"Out": 1})


@op("cast")
def cast(r, name):
    a, b = any_type(r, (F32, F64, I32, I64, BOOL, U8, I8)), any_type(r, (F32, F64, I32, I64, BOOL, U8, I8))
    x = data(r, shape(r, 0), a)
    if a in (F32, F64) and b == U8:
        x = np.abs(x)
    return Use({"in_dtype": CODE[a], "out_dtype": CODE[b]}, {"X": [x]}, {"Out": 1})


@op("increment")
def increment(r, name):
    return Use({"step": float(r.randint(-3, 4))}, {"X": [data(r, [1], any_type(r, (F32, I32, I64)))]},
               {"Out": 1})


# Comparing -----------------------------------------------------------------------------------

def broadcast_pair(r, t, lo=-2, hi=3):
    d = shape(r)
    e = [1 if r.randint(4) == 0 else v for v in d][r.randint(len(d)):]
    d = [1 if r.randint(6) == 0 else v for v in d]
    a, b = data(r, d, t, lo, hi), data(r, e, t, lo, hi)
    return (b, a) if r.randint(4) == 0 else (a, b)


@op("equal", "not_equal", "less_than", "less_equal", "greater_than", "greater_equal")
def compare(r, name):
    a, b = broadcast_pair(r, any_type(r))
    if a.dtype.kind == "f":
        a, b = np.round(a), np.round(b)
    return Use({"axis": -1}, {"X": [a], "Y": [b]}, {"Out": 1})


@op("logical_and", "logical_or", "logical_xor")
def logical(r, name):
    a, b = broadcast_pair(r, any_type(r, (BOOL, I32, F32)), -1, 2)
    return Use({}, {"X": [a], "Y": [b]}, {"Out": 1})


@op("logical_not")
def logical_not(r, name):
    return Use({}, {"X": [data(r, shape(r), any_type(r), -1, 2)]}, {"Out": 1})


@op("bitwise_and", "bitwise_or", "bitwise_xor")
def bitwise(r, name):
    a, b = broadcast_pair(r, any_type(r, (BOOL, I32, I64, U8)), -9, 10)
    return Use({}, {"X": [a], "Y": [b]}, {"Out": 1})


@op("bitwise_not")
def bitwise_not(r, name):
    return Use({}, {"X": [data(r, shape(r), any_type(r, (BOOL, I32, I64, U8)))]}, {"Out": 1})


@op("isnan_v2", "isinf_v2", "isfinite_v2")
def tests(r, name):
    x = data(r, shape(r), any_type(r, (F32, I32, I64, F64)))
    if x.dtype.kind == "f":
        x.reshape(-1)[::3] = r.choice([np.nan, np.inf, -np.inf])
    return Use({}, {"X": [x]}, {"Out": 1})


@op("clip")
def clip(r, name):
    t = any_type(r, (F32, I32, I64, F64))
    lo = float(r.randint(-3, 2))
    ins, attrs = {"X": [data(r, shape(r), t)]}, {"min": lo, "max": lo + float(r.randint(0, 4))}
    if r.randint(4) == 0:
        ins["Min"] = [tensor([lo], t)]
    return Use(attrs, ins, {"Out": 1})


@op("pow")
def pow_(r, name):
    x = np.abs(data(r, shape(r))) + F32_SMALL
    ins, attrs = {"X": [x.astype(F32)]}, {"factor": float(r.choice([2, 3, 0.5, -1, 1.7]))}
    if r.randint(4) == 0:
        ins["FactorTensor"] = [tensor([2.0], F32)]
    return Use(attrs, ins, {"Out": 1}, tol=1e-5)


F32_SMALL = np.float32(0.1)


# Ordering ------------------------------------------------------------------------------------

def distinct(r, d, t=F32):
    n = int(np.prod(d))
    return (r.permutation(n) - n // 2).astype(t).reshape(d)


@op("arg_max", "arg_min")
def arg(r, name):
    d = shape(r)
    return Use({"axis": axis(r, len(d)), "keepdims": coin(r), "flatten": r.randint(4) == 0,
                "dtype": int(r.choice([2, 3]))},
               {"X": [data(r, d, any_type(r, (F32, I32, I64)), -2, 3)]}, {"Out": 1})


@op("argsort")
def argsort(r, name):
    d = shape(r)
    return Use({"axis": axis(r, len(d)), "descending": coin(r)},
               {"X": [distinct(r, d, any_type(r, (F32, I32, I64)))]}, {"Out": 1, "Indices": 1})


@op("top_k_v2")
def top_k_v2(r, name):
    d = shape(r)
    a = axis(r, len(d))
    k = int(r.randint(1, d[a] + 1))
    ins, attrs = {"X": [distinct(r, d, any_type(r, (F32, I32, I64)))]}, {
        "k": k, "axis": a, "largest": coin(r), "sorted": True}
    if r.randint(4) == 0:
        ins["K"] = [tensor([k], I32)]
    return Use(attrs, ins, {"Out": 1, "Indices": 1})


@op("top_k")
def top_k(r, name):
    d = shape(r)
    return Use({"k": int(r.randint(1, d[-1] + 1))}, {"X": [distinct(r, d)]}, {"Out": 1, "Indices": 1})


@op("cumsum")
def cumsum(r, name):
    d = shape(r)
    flat = r.randint(4) == 0
    return Use({"axis": -1 if flat else axis(r, len(d)), "flatten": flat, "exclusive": coin(r), "reverse": coin(r)},
               {"X": [data(r, d, any_type(r, (F32, I32, I64, F64)))]}, {"Out": 1}, tol=2e-6)


# Quantization --------------------------------------------------------------------------------

def halves(r, d, s, big):
    """Values of which many lie halfway between two integers once quantized."""
    k = r.randint(-2 * big - 20, 2 * big + 20, d)
    x = (k * (s / (2 * big))).astype(F32)
    return np.where(r.rand(*d) < 0.5, x, (r.randn(*d) * s).astype(F32)).astype(F32)


def scale_of(r, n):
    return np.abs(r.choice([0.5, 1, 1.27, 3, 127], n) * r.choice([1, 1, 0.3], n)).astype(F32)


@op("quantize_linear", "dequantize_linear")
def linear(r, name):
    d = shape(r, 1, 4, 6)
    a = int(r.choice([-1] + list(range(min(2, len(d))))))
    n = d[a] if a >= 0 else 1
    s = scale_of(r, n)
    bits = int(r.choice([8, 8, 4]))
    big = 2 ** (bits - 1) - 1
    x = halves(r, d, float(s[0]), big)
    if name == "dequantize_linear":
        x = r.randint(-big - 1, big + 1, d).astype(I8 if coin(r) else F32)
    attrs = {"bit_length": bits, "quant_axis": a, "is_test": True,
             "only_observer": bool(r.randint(5) == 0 and x.dtype == F32)}
    attrs["round_type"] = int(r.randint(2))
    return Use(attrs, {"X": [x], "Scale": [s], "ZeroPoint": [np.zeros(n, F32)]}, {"Y": 1})


@op("fake_quantize_abs_max", "fake_quantize_dequantize_abs_max")
def fake_abs_max(r, name):
    d = shape(r, 1, 4, 6)
    x = halves(r, d, 1.0, 127)
    x.reshape(-1)[0] = 1.0 if r.randint(3) else 5
    return Use({"bit_length": int(r.choice([8, 4])), "round_type": int(r.randint(2))}, {"X": [x]},
               {"Out": 1, "OutScale": 1})


@op("fake_channel_wise_quantize_abs_max", "fake_channel_wise_quantize_dequantize_abs_max")
def fake_channel(r, name):
    d = shape(r, 2, 4, 6)
    return Use({"bit_length": int(r.choice([8, 4])), "round_type": int(r.randint(2)),
                "quant_axis": int(r.randint(2))}, {"X": [halves(r, d, 1.0, 127)]},
               {"Out": 1, "OutScale": 1})


@op("fake_quantize_range_abs_max", "fake_quantize_moving_average_abs_max",
    "fake_quantize_dequantize_moving_average_abs_max")
def fake_moving(r, name):
    d = shape(r, 1, 4, 6)
    s = scale_of(r, 1)
    attrs = {"bit_length": int(r.choice([8, 4])), "round_type": int(r.randint(2)), "is_test": True}
    x = halves(r, d, float(s[0]), 127)
    ins, outs = {"X": [x], "InScale": [s]}, {"Out": 1, "OutScale": 1}
    if name != "fake_quantize_range_abs_max" and coin(r):
        attrs.update(is_test=False, moving_rate=0.9)
        ins.update(InState=[tensor([1.5], F32)], InAccum=[tensor([2.5], F32)])
        outs.update(OutState=1, OutAccum=1)
    skip = () if not attrs["is_test"] else ("OutScale",)
    return Use(attrs, ins, outs, skip=skip)


@op("moving_average_abs_max_scale")
def moving_scale(r, name):
    d = shape(r, 1, 4, 6)
    return Use({"is_test": False, "moving_rate": 0.9},
               {"X": [data(r, d)], "InState": [tensor([1.5], F32)], "InAccum": [tensor([2.5], F32)]},
               {"Out": 1, "OutScale": 1, "OutState": 1, "OutAccum": 1})


@op("fake_dequantize_max_abs")
def fake_dequantize(r, name):
    x = r.randint(-127, 128, shape(r, 1, 4, 6)).astype(F32)
    return Use({"max_range": 127.0}, {"X": [x], "Scale": [scale_of(r, 1)]}, {"Out": 1})


@op("fake_channel_wise_dequantize_max_abs")
def fake_channel_dequantize(r, name):
    d = shape(r, 2, 4, 6)
    x = r.randint(-127, 128, d).astype(F32)
    if coin(r):
        a = int(r.randint(2))
        return Use({"quant_bits": [8], "quant_axis": a},
                   {"X": [x], "Scales": [scale_of(r, d[a])]}, {"Out": 1})
    k = int(r.randint(1, len(d)))
    return Use({"quant_bits": [8, 8], "quant_axis": 0, "x_num_col_dims": k},
               {"X": [x], "Scales": [scale_of(r, d[k]), scale_of(r, 1)]}, {"Out": 1}, tol=2e-7)


# Detection -----------------------------------------------------------------------------------

def boxes(r, n, size=10.0):
    a, b = r.rand(n, 2) * size, r.rand(n, 2) * size
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)], -1).astype(F32)


@op("yolo_box")
def yolo_box(r, name):
    n, k, c, h, w = (int(v) for v in r.randint(1, 4, 5))
    aware = coin(r)
    return Use({"anchors": [int(v) for v in r.randint(4, 60, 2 * k)], "class_num": c,
                "conf_thresh": float(np.float32(r.rand() * 0.6)), "downsample_ratio": 32,
                "clip_bbox": coin(r), "scale_x_y": float(np.float32(r.choice([1, 1.05]))),
                "iou_aware": aware, "iou_aware_factor": 0.5},
               {"X": [data(r, [n, k * (5 + c + aware), h, w])],
                "ImgSize": [r.randint(50, 400, [n, 2]).astype(I32)]},
               {"Boxes": 1, "Scores": 1}, tol=2e-5)


@op("multiclass_nms", "multiclass_nms2", "multiclass_nms3")
def nms(r, name):
    n, c, m = (int(v) for v in r.randint([1, 1, 1], [4, 4, 9]))
    attrs = {"background_label": int(r.choice([-1, 0])), "score_threshold": float(np.float32(r.rand())),
             "nms_top_k": int(r.choice([-1, 3, 5])), "keep_top_k": int(r.choice([-1, 2, 4])),
             "nms_threshold": float(np.float32(r.choice([0.3, 0.6]))),
             "nms_eta": float(np.float32(r.choice([1, 0.9]))), "normalized": coin(r)}
    ins = {"BBoxes": [boxes(r, n * m).reshape(n, m, 4)], "Scores": [r.rand(n, c, m).astype(F32)]}
    outs = {"Out": 1}
    if name != "multiclass_nms":
        outs["Index"] = 1
    if name == "multiclass_nms3":
        outs["NmsRoisNum"] = 1
    return Use(attrs, ins, outs)


@op("matrix_nms")
def matrix_nms(r, name):
    n, c, m = (int(v) for v in r.randint([1, 1, 1], [4, 4, 9]))
    attrs = {"background_label": int(r.choice([-1, 0])), "score_threshold": float(np.float32(r.rand())),
             "post_threshold": float(np.float32(r.rand() * 0.5)), "nms_top_k": int(r.choice([-1, 3, 5])),
             "keep_top_k": int(r.choice([-1, 2, 4])), "normalized": coin(r),
             "use_gaussian": coin(r), "gaussian_sigma": 2.0}
    ins = {"BBoxes": [boxes(r, n * m).reshape(n, m, 4)], "Scores": [r.rand(n, c, m).astype(F32)]}
    return Use(attrs, ins, {"Out": 1, "Index": 1, "RoisNum": 1}, tol=2e-6)


@op("box_coder")
def box_coder(r, name):
    n, m = (int(v) for v in r.randint(1, 6, 2))
    how = r.randint(3)
    ins, attrs = {}, {"box_normalized": coin(r)}
    if coin(r):
        attrs.update(code_type="encode_center_size")
        count, ins["TargetBox"] = m, [boxes(r, n) + np.array([0, 0, 1, 1], F32)]
    else:
        a = int(r.randint(2))
        attrs.update(code_type="decode_center_size", axis=a)
        count, ins["TargetBox"] = (m if a == 0 else n), [data(r, [n, m, 4]) * np.float32(0.3)]
    ins["PriorBox"] = [boxes(r, count) + np.array([0, 0, 1, 1], F32)]
    if how == 1:
        ins["PriorBoxVar"] = [(r.rand(count, 4) + 0.1).astype(F32)]
    if how == 2:
        attrs["variance"] = [float(np.float32(v)) for v in (0.1, 0.1, 0.2, 0.2)]
    return Use(attrs, ins, {"OutputBox": 1}, tol=2e-5)


@op("prior_box")
def prior_box(r, name):
    n, c, h, w = shape(r, 4, 4, 4)
    n_min = int(r.randint(1, 3))
    small = [float(v) for v in r.randint(4, 20, n_min)]
    return Use({"min_sizes": small, "max_sizes": [v + 7 for v in small] if coin(r) else [],
                "aspect_ratios": [float(v) for v in r.choice([1, 2, 3, 0.5], 2)], "flip": coin(r),
                "clip": coin(r), "variances": [float(np.float32(v)) for v in (0.1, 0.1, 0.2, 0.2)],
                "step_w": float(r.choice([0, 8])), "step_h": float(r.choice([0, 8])), "offset": 0.5,
                "min_max_aspect_ratios_order": coin(r)},
               {"Input": [data(r, [n, c, h, w])], "Image": [data(r, [n, 3, 30, 40])]},
               {"Boxes": 1, "Variances": 1}, tol=1e-6)


@op("density_prior_box")
def density_prior_box(r, name):
    n, c, h, w = shape(r, 4, 4, 4)
    k = int(r.randint(1, 3))
    return Use({"fixed_sizes": [float(v) for v in r.randint(4, 20, k)],
                "densities": [int(v) for v in r.randint(1, 4, k)],
                "fixed_ratios": [float(v) for v in r.choice([1, 2, 0.5], r.randint(1, 3))],
                "clip": coin(r), "variances": [float(np.float32(v)) for v in (0.1, 0.1, 0.2, 0.2)],
                "step_w": float(r.choice([0, 8])), "step_h": float(r.choice([0, 8])), "offset": 0.5,
                "flatten_to_2d": coin(r)},
               {"Input": [data(r, [n, c, h, w])], "Image": [data(r, [n, 3, 30, 40])]},
               {"Boxes": 1, "Variances": 1}, tol=1e-6)


@op("anchor_generator")
def anchor_generator(r, name):
    return Use({"anchor_sizes": [float(v) for v in r.choice([32, 64, 128], r.randint(1, 3))],
                "aspect_ratios": [float(v) for v in r.choice([0.5, 1, 2], r.randint(1, 3))],
                "stride": [float(r.choice([8, 16])), float(r.choice([8, 16]))], "offset": 0.5,
                "variances": [float(np.float32(v)) for v in (0.1, 0.1, 0.2, 0.2)]},
               {"Input": [data(r, shape(r, 4, 4, 4))]}, {"Anchors": 1, "Variances": 1}, tol=1e-6)


@op("box_clip")
def box_clip(r, name):
    n = int(r.randint(1, 4))
    lens = r.randint(1, 4, n)
    info = np.stack([r.randint(5, 12, n), r.randint(5, 12, n), r.choice([1, 0.5, 2], n)], -1)
    x = (boxes(r, int(lens.sum())) * 3 - 8).astype(F32)
    return Use({}, {"Input": [x], "ImInfo": [info.astype(F32)]}, {"Output": 1},
               lods={"Input": [0] + [int(v) for v in np.cumsum(lens)]})


@op("iou_similarity")
def iou_similarity(r, name):
    return Use({"box_normalized": coin(r)},
               {"X": [boxes(r, r.randint(1, 6))], "Y": [boxes(r, r.randint(1, 6))]}, {"Out": 1},
               tol=1e-6)


@op("roi_align", "roi_pool")
def roi(r, name):
    n, c, h, w = (int(v) for v in r.randint([1, 1, 3, 3], [4, 4, 9, 9]))
    num = r.randint(0, 4, n).astype(I32)
    num[0] += 1
    attrs = {"pooled_height": int(r.randint(1, 4)), "pooled_width": int(r.randint(1, 4)),
             "spatial_scale": float(r.choice([1, 0.5]))}
    outs, skip = {"Out": 1}, ()
    if name == "roi_align":
        attrs.update(sampling_ratio=int(r.choice([-1, 2])), aligned=coin(r))
    else:
        outs, skip = {"Out": 1, "Argmax": 1}, ("Argmax",)
    return Use(attrs, {"X": [data(r, [n, c, h, w])], "ROIs": [boxes(r, int(num.sum()), 9)],
                       "RoisNum": [num]}, outs, tol=2e-5, skip=skip)


# Decoding ------------------------------------------------------------------------------------

@op("ctc_align")
def ctc_align(r, name):
    blank = int(r.randint(0, 3))
    attrs = {"blank": blank, "merge_repeated": coin(r), "padding_value": int(r.randint(-1, 2))}
    if coin(r):
        n, t = (int(v) for v in r.randint(1, 7, 2))
        k = any_type(r, (I32, I64))
        return Use(attrs, {"Input": [r.randint(0, 4, [n, t]).astype(k)],
                           "InputLength": [r.randint(1, t + 1, [n, 1]).astype(k)]},
                   {"Output": 1, "OutputLength": 1})
    lens = r.randint(1, 6, r.randint(1, 4))
    total = int(lens.sum())
    return Use(attrs, {"Input": [r.randint(0, 4, [total, 1]).astype(I32)]}, {"Output": 1},
               lods={"Input": [0] + [int(v) for v in np.cumsum(lens)]})


@op("viterbi_decode")
def viterbi_decode(r, name):
    b, t, n = (int(v) for v in r.randint([1, 2, 3], [4, 7, 6]))
    length = r.randint(1, t + 1, b).astype(I64)
    length[0] = t
    return Use({"include_bos_eos_tag": coin(r)},
               {"Input": [data(r, [b, t, n])], "Transition": [data(r, [n, n])],
                "Length": [length]}, {"Scores": 1, "Path": 1}, tol=1e-5)
