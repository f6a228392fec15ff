# SPDX-License-Identifier: Apache-2.0
"""What each layer costs by qslim and by PaddleSlim's Analysis, on the pictures of the sample.
sensitivity.py QSLIM SHARED SAMPLE WORK: TAP."""
import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image

qslim, shared, sample, work = sys.argv[1:]
N = 32  # four batches of the reference


def pictures():
    names = [line.split()[0] for line in open(os.path.join(sample, "data", "val_list.txt"))][:N]
    files = [Image.open(os.path.join(sample, "data", n)).convert("RGB").resize((32, 32), Image.BILINEAR) for n in names]
    return np.stack([np.asarray(f, "float32").transpose(2, 0, 1) / 127.5 - 1 for f in files])


def ranks(v):
    v = np.asarray(v)
    r = np.empty(len(v))
    r[np.argsort(v, kind="stable")] = np.arange(len(v))
    for x in np.unique(v):
        r[v == x] = r[v == x].mean()
    return r


def reference(data):
    out = os.path.join(work, "reference.json")
    env = dict(os.environ, PYTHONPATH=os.path.join(shared, "oracle"))
    subprocess.run([sys.executable, os.path.join(shared, "oracle", "slim_analysis.py"), os.path.join(sample, "digits"), "--data", data,
                    "--json", out], check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=work)
    return json.load(open(out))


def scan(data, *more):
    listing = os.path.join(work, "data.yaml")
    open(listing, "w").write(f"type: tensors\nlist: {data}\n")
    out = subprocess.run([qslim, "sensitivity", os.path.join(sample, "digits"), "-d", listing, "--json", "-q", "--no-store", *more],
                         check=True, stdout=subprocess.PIPE).stdout
    return {row["weight"]: row["drop"] for row in json.loads(out)["layers"]}


def report(ok, what, *why):
    report.n += 1
    print("ok" if ok else "not ok", report.n, "-", what, flush=True)
    for line in why if not ok else ():
        print("#", line)


report.n = 0
data = os.path.join(work, "pictures.npy")
np.save(data, pictures())
want = reference(data)
for more in ([], ["--exact"]):
    how = " ".join(more) or "fast"
    got = scan(data, *more)
    report(sorted(got) == sorted(want), f"{how}: the same layers", sorted(got), sorted(want))
    a, b = [got[w] for w in sorted(want)], [want[w] for w in sorted(want)]
    spearman = np.corrcoef(ranks(a), ranks(b))[0, 1]
    report(spearman >= 0.98, f"{how}: the same ranking", f"Spearman {spearman}")
    far = [f"{w}: {got[w]:.3e}, want {want[w]:.3e}" for w in want if abs(got[w] - want[w]) > 0.05 * abs(want[w]) + 1e-6]
    report(not far, f"{how}: the same costs", *far)

# Each weight of a recurrence, and layers before non-maximum suppression: the fast engine as the exact one.
rng = np.random.default_rng(7)
street = sorted(os.listdir(os.path.join(shared, "data", "detection_demo")))[:3]
street = [Image.open(os.path.join(shared, "data", "detection_demo", n)).convert("RGB").resize((320, 320)) for n in street]
np.save(os.path.join(work, "image.npy"), np.stack([np.asarray(f, "float32").transpose(2, 0, 1) / 64 - 2 for f in street]))
np.save(os.path.join(work, "shape.npy"), np.full((3, 2), 320, "float32"))
np.save(os.path.join(work, "scale.npy"), np.ones((3, 2), "float32"))
np.save(os.path.join(work, "line.npy"), rng.standard_normal((3, 3, 32, 160)).astype("float32"))
for model, arrays, types, mode in (
        ("ch_PP-OCRv2_rec", "line.npy", "rnn", "both"),
        ("ppyolo_tiny_sign4", "{image: image.npy, im_shape: shape.npy, scale_factor: scale.npy}", "depthwise_conv2d", "weights")):
    listing = os.path.join(work, "pair.yaml")
    open(listing, "w").write(f"type: tensors\nlist: {arrays}\n")
    found = []
    for more in ([], ["--exact"]):
        out = subprocess.run([qslim, "sensitivity", os.path.join(shared, "models", model), "-d", listing, "--json", "-q", "--no-store",
                              "--mode", mode, "--bits", "8", "--op-types", types, *more],
                             check=True, stdout=subprocess.PIPE).stdout
        found.append(json.loads(out))
    rows = [{r["weight"]: r for r in f["layers"]} for f in found]
    report(found[0]["layers"][0]["accumulated_db"] is not None, f"{model}: the fast engine scans {types}")
    far = [f"{w}: {rows[0][w]['cosine']} and {rows[1][w]['cosine']}" for w in rows[1]
           if abs(rows[0][w]["cosine"] - rows[1][w]["cosine"]) > 1e-3]
    near = abs(found[0]["quantized"] - found[1]["quantized"]) <= 1e-3
    report(rows[0].keys() == rows[1].keys() and not far and near, f"{model}: both engines find the same",
           *far, found[0]["quantized"], found[1]["quantized"])
print(f"1..{report.n}")
