#!/usr/bin/env python
# SPDX-License-Identifier: Apache-2.0
"""Models through `qslim quantize --method static --compat paddle` and through Paddle, as TAP:
  files     the same operators, attributes and parameters as PostTrainingQuantization writes with the same data: integers and
            their scales bit for bit (but for the sign of zero), thresholds of activations to 1e-4
  run       every operator of our file computes in Paddle what it does in `qslim run` (run_each.py)
  lite      paddle_lite_opt takes the file
  forms     a file converted to the other format computes the same as before
Algorithm abs_max, whose thresholds are values of the model. What is different on purpose is left out: a
scale operator that Paddle appends to each output, attributes and outputs that it drops from operators it does not
quantize, observers under names that are in use.
Usage: static.py QSLIM LITE_OPT|- WORK_FOLDER MODEL,INPUT=1x3x224x224... (+MODEL: it is quantized)"""
import os
import shutil
import subprocess
import sys

import lib
import paddle_files as pf
import numpy as np
from lib import end, report

qslim, opt, work = sys.argv[1:4]
os.environ["QSLIM_DB"] = os.path.join(work, "runs.db")
OPS = ["conv2d", "depthwise_conv2d", "conv2d_transpose", "mul", "matmul", "matmul_v2"]
QUANT = ("quantize_linear", "dequantize_linear")
MARKS = {"quantization_type", "with_quant_attr", "activation_bits", "out_threshold"}


def call(*arg):
    return lib.call(qslim, *arg)


def paddle_static(folder, out, name, x, qdq, kind):
    import paddle
    from paddle.static.quantization import PostTrainingQuantization

    class Samples(paddle.io.Dataset):
        def __len__(self):
            return len(x)

        def __getitem__(self, i):
            return x[i]

    paddle.enable_static()
    program, params = pf.files(folder)
    place = paddle.CPUPlace()
    exe = paddle.static.Executor(place)
    where = {"model_filename": os.path.basename(program), "params_filename": params and os.path.basename(params)}
    with paddle.static.scope_guard(paddle.static.Scope()):
        loaded = paddle.static.load_inference_model(folder, exe, **where)[0]
        loader = paddle.io.DataLoader(Samples(), feed_list=[loaded.global_block().var(name)], batch_size=1,
                                      return_list=False, places=place)
        ptq = PostTrainingQuantization(
            exe, scope=paddle.static.global_scope(), model_dir=folder, data_loader=loader, batch_nums=len(x),
            algo="abs_max", quantizable_op_type=OPS, onnx_format=qdq, weight_quantize_type=kind, **where)
        ptq.quantize()
        ptq.save_quantized_model(out, "model.pdmodel", "model.pdiparams")


def value(a):
    field = {0: "i", 1: "f", 2: "s", 3: "ints", 4: "floats", 6: "b", 9: "l"}.get(a.type)
    v = getattr(a, field) if field else None
    return tuple(v) if field in ("ints", "floats") else v


def slots(vars_):
    return {v.parameter: tuple(v.arguments) for v in vars_ if v.arguments}


def is_quant(op):
    return op.type in QUANT or op.type.startswith("fake_")


class File:
    """A written model in a form that does not depend on the order of operators or the numbers of channel_scale_*."""

    def __init__(self, path):
        self.program = pf.program_of(path)
        self.params = pf.params_of(path, self.program)[0]
        ops = self.program.blocks[0].ops
        self.rename = {}
        for op in ops:
            for name in slots(op.inputs).get("Scales", ())[:1]:
                self.rename[name] = "channel_scale of " + slots(op.inputs)["X"][0]
        self.params = {self.rename.get(k, k): v for k, v in self.params.items()}
        self.real = {slots(op.inputs)["X"][0] for op in ops if op.type == "quantize_linear"
                     and not self.attrs(op).get("only_observer")}
        self.quant, self.other = {}, {}
        for op in ops:
            if op.type in ("feed", "fetch"):
                continue
            out = slots(op.outputs)
            first = next((out[k] for k in ("Out", "Output", "Y") if k in out), next(iter(out.values())))[0]
            if is_quant(op):
                if not (self.attrs(op).get("only_observer") and slots(op.inputs)["X"][0].removesuffix(".quantized") in self.real):
                    self.quant[op.type, first] = (self.args(op.inputs), self.args(op.outputs), self.attrs(op))
            else:
                self.other[op.type, first] = op

    def args(self, vars_):
        return {k: tuple(self.rename.get(x, x) for x in v) for k, v in slots(vars_).items()}

    def attrs(self, op):
        drop = {"op_role", "op_role_var", "op_namescope", "op_callstack", "op_device", "with_quant_attr"}
        return {a.name: value(a) for a in op.attrs if a.name not in drop}

    def marks(self, op):
        return {a.name: value(a) for a in op.attrs if (a.name in MARKS or a.name.endswith("_threshold")) and value(a) is not False}


def reads_of(f, op):
    """Inputs, with values that are only observed, or rounded for another reader, by their own names."""
    def plain(x):
        base = x.removesuffix(".quantized.dequantized")
        return base if base != x and base in f.real and op.type not in OPS else x
    return {k: tuple(plain(x) for x in v) for k, v in slots(op.inputs).items()}


def close(x, y):
    """Thresholds of activations: the engines add in another order."""
    return x.shape == y.shape and x.dtype == y.dtype and np.allclose(x, y, rtol=1e-4, atol=1e-12)


def same_marks(x, y):
    return x.keys() == y.keys() and all(
        abs(x[k] - y[k]) <= 1e-4 * abs(y[k]) if isinstance(y[k], float) else x[k] == y[k] for k in y)


def compare(label, ours, theirs):
    a, b = File(ours), File(theirs)
    end = [k for k in b.other if k not in a.other and k[0] == "scale" and k[1].startswith("save_infer_model/")]
    keys = [k for k in b.other if k not in end]
    bad = sorted(set(a.quant) ^ set(b.quant)) + [
        f"{k}: {a.quant[k]}\n   {b.quant[k]}" for k in a.quant if k in b.quant and a.quant[k] != b.quant[k]]
    report(not bad, f"{label}: {len(a.quant)} quantization operators", "\n".join(map(str, bad[:6])))
    bad = [k for k in keys if k not in a.other or reads_of(a, a.other[k]) != reads_of(b, b.other[k])] + [
        k for k in a.other if k not in b.other]
    report(not bad, f"{label}: what {len(keys)} other operators read", "\n".join(
        f"{k} {k in a.other and reads_of(a, a.other[k])} {k in b.other and reads_of(b, b.other[k])}" for k in bad[:4]))
    bad = [k for k in keys if k in a.other and not same_marks(a.marks(a.other[k]), b.marks(b.other[k]))]
    report(not bad, f"{label}: their attributes", "\n".join(
        f"{k} {a.marks(a.other[k])} {b.marks(b.other[k])}" for k in bad[:4]))
    same = lambda x, y: x.dtype == y.dtype and x.shape == y.shape and np.array_equal(x, y)
    acts = {s for op in a.program.blocks[0].ops if "quantize_" in op.type and not op.type.startswith(("dequantize", "fake_dequantize"))
            for s in slots(op.inputs).get("Scale", ()) + slots(op.inputs).get("InScale", ())}
    bad = sorted(set(a.params) ^ set(b.params)) + [
        k for k in a.params if k in b.params and not (close if k in acts else same)(a.params[k], b.params[k])]
    report(not bad, f"{label}: {len(a.params)} parameters", "\n".join(
        f"{k} {a.params[k].dtype, a.params[k].shape, a.params[k].ravel()[:3] if k in a.params else None} "
        f"{b.params[k].dtype, b.params[k].shape, b.params[k].ravel()[:3] if k in b.params else None}"
        if k in a.params and k in b.params else f"{k} in {'ours' if k in a.params else 'theirs'} only" for k in bad[:6]))


def runs_alike(label, folder, shape):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run_each.py")
    r = subprocess.run([sys.executable, script, qslim, os.path.join(work, "each"), f"{folder},{shape}"],
                       capture_output=True, text=True)
    report(r.returncode == 0, f"{label}: every operator computes in Paddle what it does here",
           r.stdout[-2000:] + r.stderr[-2000:])


def outputs_of(folder, feed):
    out = folder + "-out"
    arg = []
    for k, (name, x) in enumerate(feed.items()):
        np.save(f"{folder}-in{k}.npy", x)
        arg += ["--input", f"{name}={folder}-in{k}.npy"]
    return [np.load(t["file"]) for t in call("run", folder, *arg, "--output", out, "--force")["outputs"]]


def opt_takes(label, path):
    ok, detail = lib.opt_verdict(opt, *pf.files(path), os.path.join(work, "opt"))
    report(ok, f"{label}: opt (arm) takes it", detail)


def check(name, folder, key, dims, kinds):
    base = os.path.join(work, name)
    os.makedirs(base, exist_ok=True)
    rng = np.random.RandomState(1)
    x = rng.randn(3, *dims[1:]).astype("float32")
    np.save(base + "/data.npy", x)
    with open(base + "/data.yaml", "w") as f:
        f.write(f"type: tensors\nlist: data.npy\ninput: {key}\n")
    shape = f"{key}={'x'.join(map(str, dims))}"
    for form in ("qdq", "fakequant"):
        for kind in kinds:
            label = f"{name} {form} {kind}"
            ours, ref = f"{base}/{form}-{kind}", f"{base}/paddle-{form}-{kind}"
            shutil.rmtree(ref, ignore_errors=True)
            call("quantize", folder, "-o", ours, "--method", "static", "--compat", "paddle", "--algo", "abs_max",
                 "--format", form, "--weight-type", kind, "--data", base + "/data.yaml", "--force")
            paddle_static(folder, ref, key, x, form == "qdq", kind)
            compare(label, ours, ref)
            if kind == "abs_max":
                continue
            runs_alike(label, ours, shape)
            other = "fakequant" if form == "qdq" else "qdq"
            call("export", ours, "--to", form, "-o", ours + "-same", "--force")
            call("export", ours, "--to", other, "-o", ours + "-other", "--force")
            a, b, c = (outputs_of(p, {key: x[:1]}) for p in (ours, ours + "-same", ours + "-other"))
            report(all(np.array_equal(u, v) for u, v in zip(a, b)), f"{label}: the same when taken apart and put together")
            far = max(float(np.linalg.norm(u - v) / max(np.linalg.norm(u), 1e-30)) for u, v in zip(a, c))
            report(far < 0.2, f"{label}: alike as {other}", far)
            if opt != "-":
                opt_takes(label, ours)
                call("quantize", folder, "-o", ours + "-own", "--method", "static", "--format", form, "--data",
                     base + "/data.yaml", "--force")
                opt_takes(label + ", our own layout", ours + "-own")
                runs_alike(label + ", our own layout", ours + "-own", shape)


def check_export(name, folder, key, dims):
    """A quantized model of another origin in both forms."""
    base = os.path.join(work, name)
    shape = f"{key}={'x'.join(map(str, dims))}"
    for form in ("qdq", "fakequant"):
        call("export", folder, "-o", f"{base}-{form}", "--to", form, "--force")
        runs_alike(f"{name} as {form}", f"{base}-{form}", shape)
        if opt != "-":
            opt_takes(f"{name} as {form}", f"{base}-{form}")


kinds = ("channel_wise_abs_max", "abs_max")  # the second with the first model
for item in sys.argv[4:]:
    path, given = item.lstrip("+").split(",")
    key, dims = given.split("=")
    try:
        if item.startswith("+"):
            check_export(os.path.basename(path.rstrip("/")), path, key, [int(d) for d in dims.split("x")])
            continue
        check(os.path.basename(path.rstrip("/")), path, key, [int(d) for d in dims.split("x")], kinds)
    except Exception as e:  # noqa: BLE001  (one model must not hide the others)
        report(False, f"{path}: {type(e).__name__}", e)
    kinds = kinds[:1]
end()
