#!/usr/bin/env python
# SPDX-License-Identifier: Apache-2.0
"""Every reference model through qslim and through Paddle, as TAP:
  rewrite   `export --to paddle` keeps the parameters byte for byte, and Paddle computes the same outputs
  dynamic   integers and scales equal to PaddleSlim's (WeightQuantization) bit for bit, and the test model too
  lite      paddle_lite_opt takes the model in FP32 and quantized
Usage: models.py QSLIM SHARED LITE_OPT|- WORK_FOLDER [NAME...]"""
import os
import shutil
import sys

import lib
import paddle_files as pf
import numpy as np
from lib import end, report

qslim, shared, opt, work = sys.argv[1:5]
only = sys.argv[5:]
os.environ["QSLIM_DB"] = os.path.join(work, "runs.db")


def call(*arg):
    return lib.call(qslim, *arg)


def same_outputs(a, b):
    return len(a) == len(b) and all(x.shape == y.shape and np.array_equal(x, y, equal_nan=True) for x, y in zip(a, b))


def rewrite(name, folder, feed):
    out = os.path.join(work, name, "rewrite")
    call("export", folder, "--to", "paddle", "-o", out)
    same = pf.params_of(folder)[1] == open(os.path.join(out, "model.pdiparams"), "rb").read()
    report(same, f"{name}: parameters are rewritten byte for byte")
    report(same_outputs(pf.run(folder, feed), pf.run(out, feed)), f"{name}: Paddle computes the same from the rewritten program")


def paddle_dynamic(folder, out, bits, kind, rate):
    from paddle.static.quantization import WeightQuantization
    program, params = pf.files(folder)
    wq = WeightQuantization(folder, os.path.basename(program), params and os.path.basename(params))
    wq.quantize_weight_to_int(save_model_dir=out, save_model_filename="model.pdmodel", save_params_filename="model.pdiparams",
                              quantizable_op_type=["conv2d", "depthwise_conv2d", "mul"], weight_bits=bits,
                              weight_quantize_type=kind, generate_test_model=True, threshold_rate=rate)


def dynamic(name, folder, bits, kind, rate):
    import paddle
    paddle.enable_static()
    label = f"{name}: {bits} bits {kind}" + (f" threshold_rate {rate}" if rate else "")
    ref, ours = (os.path.join(work, name, f"{w}{bits}{kind}{rate}") for w in ("slim", "qslim"))
    shutil.rmtree(ref, ignore_errors=True)
    with paddle.static.scope_guard(paddle.static.Scope()):
        paddle_dynamic(folder, ref, bits, kind, rate)
    call("quantize", folder, "-o", ours, "--weight-bits", str(bits), "--weight-type", kind, "--threshold-rate", str(rate),
         "--generate-test-model")
    for which in ("quantized_model", "test_model"):
        a, b = pf.program_of(os.path.join(ref, which)), pf.program_of(os.path.join(ours, which))
        pa, pb = pf.params_of(os.path.join(ref, which), a)[0], pf.params_of(os.path.join(ours, which), b)[0]
        bad = [k for k in pb if k not in pa or pa[k].dtype != pb[k].dtype or pa[k].tobytes() != pb[k].tobytes()]
        report(not bad and pa.keys() == pb.keys(), f"{label}: {which} parameters", bad[:5])
        if which == "test_model":
            report(not pf.scales_of(b), f"{label}: test_model has no attributes")
            continue
        strip = lambda s: {(k[2] if "_quant_scale" in k[2] else k[2] + str(k[1])): v for k, v in s.items()}
        sa, sb = strip(pf.scales_of(a)), strip(pf.scales_of(b))
        bad = [k for k in sa.keys() | sb.keys() if k not in sa or k not in sb or not np.array_equal(sa[k], sb[k])]
        report(not bad, f"{label}: scales and attributes of {sum('_quant_scale' in k for k in sb)} weights", bad[:5])


def opt_verdict(path):
    return lib.opt_verdict(opt, *pf.files(path), os.path.join(work, "opt"))


def lite(name, folder):
    base = os.path.join(work, name)
    call("export", folder, "--to", "paddle", "-o", base + "/fp32", "--force")
    done = [("fp32", base + "/fp32")]
    for bits in (8, 16):
        call("quantize", folder, "-o", f"{base}/lite{bits}", "--weight-bits", str(bits), "--target", "lite-arm")
        done.append((f"dynamic {bits}", f"{base}/lite{bits}/quantized_model"))
    for what, path in done:
        ok, detail = opt_verdict(path)
        report(ok, f"{name}: opt (arm) takes {what}" + (f", {detail} bytes" if ok else ""), detail)


extra = [(k, v) for k, v in ((os.path.basename(p.rstrip("/")), p.rstrip("/")) for p in os.environ.get("QSLIM_MODELS", "").split(":") if p)]
for name, folder in list(pf.models(shared)) + extra:
    if only and name not in only:
        continue
    shutil.rmtree(os.path.join(work, name), ignore_errors=True)
    try:
        if (name, folder) not in extra:
            rewrite(name, folder, pf.inputs_of(shared, name))
        for bits in (8, 16):
            dynamic(name, folder, bits, "channel_wise_abs_max", 0.0)
        dynamic(name, folder, 8, "abs_max", 0.0)
        dynamic(name, folder, 8, "abs_max", 1e-4)
        if opt != "-":
            lite(name, folder)
    except Exception as e:  # noqa: BLE001  (one model must not hide the others)
        report(False, f"{name}: {type(e).__name__}", e)
# Programs of Paddle 3, which Paddle 2.6 does not read: what qslim makes of them.
for name in sorted(os.listdir(os.path.join(shared, "models"))):
    if name.startswith("pir_") and opt != "-" and (not only or name in only):
        lite(name, os.path.join(shared, "models", name))
end()
