# SPDX-License-Identifier: Apache-2.0
"""Paddle model files as Python sees them: finding, parsing, running. Shared by the scripts here."""
import os
import struct

os.environ.setdefault("GLOG_minloglevel", "3")
os.environ.setdefault("FLAGS_call_stack_level", "0")

import zlib  # noqa: F401,E402  (before paddle)
import numpy as np  # noqa: E402

DTYPES = {0: "?", 1: "<i2", 2: "<i4", 3: "<i8", 4: "<f2", 5: "<f4", 6: "<f8", 20: "u1", 21: "i1"}


def files(path):
    """(program, combined parameters or None) of a folder."""
    names = sorted(os.listdir(path))
    program = next((n for n in names if n.endswith(".pdmodel")), None) or "__model__"
    params = next((n for n in names if n.endswith(".pdiparams")), None) or (
        "__params__" if "__params__" in names else None)
    return os.path.join(path, program), params and os.path.join(path, params)


def program_of(path):
    from paddle.base.proto import framework_pb2
    p = framework_pb2.ProgramDesc()
    p.ParseFromString(open(files(path)[0], "rb").read())
    return p


def param_names(program):
    skip = {9, 10, 15, 17}
    return sorted({v.name for b in program.blocks for v in b.vars if v.persistable and v.type.type not in skip})


def record(data, at):
    from paddle.base.proto import framework_pb2
    _, levels = struct.unpack_from("<IQ", data, at)
    at += 12
    for _ in range(levels):
        at += 8 + struct.unpack_from("<Q", data, at)[0]
    _, n = struct.unpack_from("<Ii", data, at)
    at += 8
    desc = framework_pb2.VarType.TensorDesc()
    desc.ParseFromString(data[at:at + n])
    at += n
    dtype = np.dtype(DTYPES[desc.data_type])
    count = int(np.prod(desc.dims, dtype=np.int64))
    return np.frombuffer(data, dtype, count, at).reshape(list(desc.dims)), at + count * dtype.itemsize


def params_of(path, program=None):
    """{name: array}, and the bytes of the stream (separate files put one after another)."""
    program = program or program_of(path)
    combined = files(path)[1]
    names = param_names(program)
    data = open(combined, "rb").read() if combined else b"".join(open(os.path.join(path, n), "rb").read() for n in names)
    out, at = {}, 0
    for name in names:
        out[name], at = record(data, at)
    assert at == len(data), f"{path}: {len(data) - at} bytes left"
    return out, data


def scales_of(program):
    """{(op index, attribute): list of floats} of the attributes that weight-only quantization adds."""
    out = {}
    for b in program.blocks:
        for i, op in enumerate(b.ops):
            for a in op.attrs:
                if a.name.endswith("_quant_scale"):
                    out[b.idx, i, a.name] = np.array(a.floats, dtype="<f4")
                elif a.name in ("quantization_type", "quantize_weight_bits"):
                    out[b.idx, i, a.name] = a.s or a.i
    return out


def models(shared):
    """Folders of the models with weights that Paddle 2.6 reads."""
    root = os.path.join(shared, "models")
    for name in sorted(os.listdir(root)):
        folder = os.path.join(root, name)
        if os.path.isdir(folder) and name not in ("graph_only", "nb") and not name.startswith("pir_"):
            yield name, folder


def inputs_of(shared, name):
    import json
    shapes = json.load(open(os.path.join(shared, "models", "models.json")))[name]["inputs"]
    rng = np.random.RandomState(0)
    out = {}
    for key, dims in shapes.items():
        out[key] = (np.array([dims and [320, 320]], "float32").reshape(dims) if key == "im_shape" else
                    np.ones(dims, "float32") if key == "scale_factor" else rng.rand(*dims).astype("float32"))
    return out


def run(path, feed):
    """Outputs of Paddle's executor."""
    import paddle
    paddle.enable_static()
    exe = paddle.static.Executor(paddle.CPUPlace())
    scope = paddle.static.Scope()
    with paddle.static.scope_guard(scope):
        program, params = files(path)
        prog, feeds, fetches = paddle.static.load_inference_model(
            os.path.dirname(program), exe, model_filename=os.path.basename(program),
            params_filename=params and os.path.basename(params))
        return [np.array(v) for v in exe.run(prog, feed={k: feed[k] for k in feeds}, fetch_list=fetches, return_numpy=False)]
