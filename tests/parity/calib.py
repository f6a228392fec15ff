#!/usr/bin/env python
# SPDX-License-Identifier: Apache-2.0
"""Thresholds that PaddleSlim writes, for every activation and calibrator, in both formats, as TAP, against
  values   our calibrators (calib_raw) on the activations that Paddle computes: all equal to 1e-6
  model    `qslim calibrate --exact --compat paddle`: our activations differ from Paddle's in the last bits, and so do
           thresholds; where two candidates of mse or emd are as good but for the last bits, the other one may win (2 in 100)
Usage: calib.py QSLIM CALIB_RAW WORK_FOLDER MODEL,SIDE,CHANNELS,SAMPLES[,ALGO...] ...   (images; default: all but KL)"""
import json
import os
import subprocess
import sys
import paddle_files as pf
import numpy as np
import paddle

BATCH = 2
OPS = ["conv2d", "depthwise_conv2d", "conv2d_transpose", "mul", "matmul", "matmul_v2"]
# mse and emd are not the same in both formats
QDQ = {"abs_max": [False], "avg": [True], "hist": [False], "KL": [True], "mse": [False, True], "emd": [True, False], "ptf": [True]}
ORDER = ["abs_max", "avg", "hist", "KL", "mse", "emd", "ptf"]  # of algo.inc
SAME, MODEL, SIGMOID = 1e-6, 4e-6, 4e-5  # relative; a sigmoid far from 0 enlarges the error of its input
qslim, raw, work = sys.argv[1:4]
tap = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # PaddleSlim talks
n = failed = 0


def report(ok, what, detail):
    global n, failed
    n += 1
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {n} - {what}\n# " + str(detail).replace("\n", "\n# "), file=tap, flush=True)


def images(side, channels, samples):
    r = np.random.RandomState(5)
    x = r.rand(samples, channels, side // 16 + 1, side // 16 + 1).repeat(16, 2).repeat(16, 3)[:, :, :side, :side]
    return ((np.clip(x + 0.2 * r.randn(*x.shape), 0, 1) - 0.45) / 0.22).astype("float32")


def load(folder, exe):
    program, params = (os.path.basename(p) if p else None for p in pf.files(folder))
    if params and program == params.replace(".pdiparams", ".pdmodel"):
        return paddle.static.load_inference_model(os.path.join(folder, program[:-8]), exe)
    return paddle.static.load_inference_model(folder, exe, model_filename=program, params_filename=params)


def slim(folder, out, data, algo, qdq):
    """{activation: threshold} of the model that PaddleSlim writes."""
    from paddleslim.quant import quant_post_static

    class Samples(paddle.io.Dataset):
        def __len__(self):
            return len(data)

        def __getitem__(self, i):
            return data[i]

    program, params = (os.path.basename(p) if p else None for p in pf.files(folder))
    exe = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(paddle.static.Scope()):
        prog, feeds, _ = load(folder, exe)
        loader = paddle.io.DataLoader(Samples(), feed_list=[prog.global_block().var(feeds[0])], batch_size=BATCH,
                                      return_list=False, places=paddle.CPUPlace())
        quant_post_static(executor=exe, model_dir=folder, model_filename=program, params_filename=params, quantize_model_path=out,
                          data_loader=loader, batch_size=BATCH, batch_nums=len(data) // BATCH, algo=algo, onnx_format=qdq,
                          hist_percent=0.9999, quantizable_op_type=OPS)
    found = {name[:-len("@scale")]: float(v.reshape(-1)[0]) for name, v in pf.params_of(out)[0].items()
             if name.endswith("@scale") and v.size == 1}
    for op in pf.program_of(out).blocks[0].ops:  # in this format what is only observed is an attribute
        at = {a.name: a.f for a in op.attrs}
        for o in op.outputs:
            if len(o.arguments) == 1 and o.parameter + "0_threshold" in at:
                found.setdefault(o.arguments[0].split(".dequantized")[0], at[o.parameter + "0_threshold"])
    return found


def values(folder, data, names):
    """{(activation, qdq): {algo: threshold}} of calib_raw on what Paddle computes."""
    exe = paddle.static.Executor(paddle.CPUPlace())
    prefix = {v: os.path.join(work, f"act{i}") for i, v in enumerate(names)}
    with paddle.static.scope_guard(paddle.static.Scope()):
        prog, feeds, fetch = load(folder, exe)
        for v in names:
            prog.global_block().var(v).persistable = True
        for b in range(len(data) // BATCH):
            exe.run(prog, feed={feeds[0]: data[b * BATCH:(b + 1) * BATCH]}, fetch_list=fetch)
            for v in names:
                np.save(f"{prefix[v]}.{b}.npy", np.array(paddle.static.global_scope().find_var(v).get_tensor()))
    lines = subprocess.run([raw, str(len(data) // BATCH), *prefix.values()], check=True, capture_output=True, text=True).stdout
    name_of = {p: v for v, p in prefix.items()}
    out = {}
    for line in lines.splitlines():
        p, qdq, *t = line.split()
        out[name_of[p], bool(int(qdq))] = dict(zip(ORDER, map(float, t)))
    return out


def model(folder, data, algo, qdq):
    r = subprocess.run([qslim, "calibrate", folder, "--data", data, "--batch", str(BATCH), "--compat", "paddle", "--exact", "--all",
                        "--algo", algo.lower(), "--format", "qdq" if qdq else "fakequant", "--json", "--no-store"],
                       capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(r.stderr.strip())
    return {a["var"]: a["thresholds"][algo.lower()] for a in json.loads(r.stdout)["activations"]}


def compare(what, want, got, tolerance, allowed=0):
    both = [k for k in want if got.get(k) is not None]
    diff = {k: abs(np.float32(got[k]) - want[k]) / max(abs(want[k]), 1e-30) for k in both}
    off = [k for k in both if diff[k] > (SIGMOID if tolerance == MODEL and k.startswith("sigmoid") else tolerance)]
    within = max([diff[k] for k in both if k not in off], default=0)
    detail = f"{len(both)} of {len(want)} activations, {len(off)} off, the others by at most {within:.2g}"
    for k in off[:5]:
        detail += f"\n{k}: {got[k]:.9g}, PaddleSlim {want[k]:.9g}"
    report(len(both) > 2 and len(off) <= allowed * len(both), what, detail)


paddle.enable_static()
for i, arg in enumerate(sys.argv[4:]):
    folder, side, channels, samples, *algos = arg.split(",")
    name = os.path.basename(folder)
    x = images(int(side), int(channels), int(samples))
    data = os.path.join(work, name + ".yaml")
    np.save(data[:-5] + ".npy", x)
    with open(data, "w") as f:
        f.write(f"type: tensors\nlist: {name}.npy\n")
    same = None
    for algo in algos or [a for a in QDQ if a != "KL"]:
        for qdq in QDQ[algo][:1 if i else 2]:  # both for the first model
            want = slim(folder, os.path.join(work, name, algo + str(qdq)), x, algo, qdq)
            got = model(folder, data, algo, qdq)
            same = same or values(folder, x, [k for k in want if k in got])
            what = f"{name}: {algo} ({'qdq' if qdq else 'fakequant'})"
            compare(what + " of the same values", {k: v for k, v in want.items() if k in got},
                    {k: t[algo] for (k, q), t in same.items() if q == qdq}, SAME)
            compare(what + " of the model", {k: v for k, v in want.items() if k in got}, got, MODEL,
                    0.02 if algo in ("mse", "emd") else 0)
print(f"1..{n}", file=tap, flush=True)
sys.exit(failed != 0)
