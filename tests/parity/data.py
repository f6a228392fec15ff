#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares pictures, preprocessing, geometry and metrics with OpenCV, pyclipper, shapely and Paddle.

    make tests/parity/data_raw && tests/parity/data.py tests/parity/data_raw [SHARED] [SEED]

Takes a minute or two; with QUICK set in the environment fewer pictures and samples are looked at. SHARED (default ../shared) holds data/, models/ and oracle/task_eval.py; without it only random cases
are compared. Needs opencv, pyclipper, shapely, and paddle 2.6 for the models; prints TAP."""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import pyclipper
from shapely.geometry import Polygon

RAW = os.path.abspath(sys.argv[1])
SHARED = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("QSLIM_SHARED", "../shared"))
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
QUICK = bool(os.environ.get("QUICK"))
rng = np.random.default_rng(SEED)
n_tests = n_failed = 0


def report(good, what):
    global n_tests, n_failed
    n_tests += 1
    n_failed += not good
    print(f"{'ok' if good else 'not ok'} {n_tests} - {what}", flush=True)


def raw(mode, data=b"", *args):
    return subprocess.run([RAW, mode, *map(str, args)], input=data, stdout=subprocess.PIPE, check=True).stdout


def ints(*v):
    return np.array(v, "int32").tobytes()


# --- pictures

def pictures(folder):
    """Files of every kind that OpenCV reads and we do."""
    grey = rng.integers(0, 256, (17, 23), dtype=np.uint8)
    color = cv2.resize(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8), (61, 47), interpolation=cv2.INTER_CUBIC)
    alpha = np.dstack([color, rng.integers(0, 256, color.shape[:2], dtype=np.uint8)])
    sixteen = rng.integers(0, 65536, (13, 19, 3), dtype=np.uint16)
    write = lambda name, im, *p: cv2.imwrite(os.path.join(folder, name), im, list(p))
    for name, im in (("grey", grey), ("color", color), ("alpha", alpha), ("sixteen", sixteen), ("sixteen_grey", sixteen[..., 0])):
        write(name + ".png", im)
    for quality in (30, 75, 100):
        for factor in (0x111111, 0x211111, 0x221111, 0x411111):
            write(f"color_{quality}_{factor:x}.jpg", color, cv2.IMWRITE_JPEG_QUALITY, quality, *((211, factor) if hasattr(cv2, "IMWRITE_JPEG_SAMPLING_FACTOR") else ()))
    write("progressive.jpg", color, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    write("grey.jpg", grey)
    write("color.bmp", color)
    write("alpha.bmp", alpha)
    write("grey.bmp", grey)
    from PIL import Image
    pil = Image.fromarray(color[..., ::-1])
    for mode in ("P", "1", "L", "LA", "CMYK"):
        im = pil.convert(mode) if mode != "P" else pil.quantize(13)
        for suffix in {"P": ("png", "bmp"), "1": ("png", "bmp"), "L": ("png", "bmp", "jpg"), "LA": ("png",), "CMYK": ("jpg",)}[mode]:
            im.save(os.path.join(folder, f"pil_{mode}.{suffix}"))
    pil.quantize(4).save(os.path.join(folder, "bits2.png"), bits=2)
    pil.quantize(16).save(os.path.join(folder, "transparent.png"), transparency=3)
    for o in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = o
        pil.save(os.path.join(folder, f"orientation{o}.jpg"), exif=exif, quality=90)
        pil.save(os.path.join(folder, f"orientation{o}.png"), exif=exif)
    return sorted(os.path.join(folder, f) for f in os.listdir(folder))


def compare_pictures(files, what):
    bad = []
    for i in range(0, len(files), 50):
        some = files[i:i + 50]
        out, at = raw("image", b"", *some), 0
        for f in some:
            w, h = np.frombuffer(out, "int32", 2, at)
            got = np.frombuffer(out, np.uint8, 3 * w * h, at + 8).reshape(h, w, 3)
            at += 8 + got.size
            want = cv2.imread(f)
            if (want is None and w) or (want is not None and (want.shape != got.shape or (want != got).any())):
                bad.append(os.path.basename(f))
    report(not bad, f"{what}: {len(files)} files" + (f", different: {bad[:10]} ({len(bad)})" if bad else ""))


def compare_resize():
    cases, data = [], b""
    for k in range(600):
        sw, sh, dw, dh = (int(v) for v in rng.integers(1, 90, 4))
        sw, sh = 1 if k % 7 == 0 else sw, 1 if k % 11 == 0 else sh
        if k % 13 == 0:
            dw, dh = 2 * sw, 2 * sh
        if k % 17 == 0:
            sw, sh = 2 * dw, 2 * dh
        if k % 19 == 0:
            dw = sw
        im = rng.integers(0, 256, (sh, sw, 3), dtype=np.uint8)
        data += ints(sw, sh, dw, dh) + im.tobytes()
        cases.append(cv2.resize(im, (dw, dh)).reshape(dh, dw, 3))
    out, at, bad = raw("resize", data), 0, 0
    for want in cases:
        bad += (np.frombuffer(out, np.uint8, want.size, at).reshape(want.shape) != want).any()
        at += want.size
    report(not bad, f"resize: {len(cases)} sizes, {bad} different")


# --- geometry

def blobs():
    for k in range(400):
        w, h = (int(v) for v in rng.integers(1, 120, 2))
        if k % 3 == 0:
            b = (rng.random((h, w)) < rng.random()).astype(np.uint8)
        elif k % 3 == 1:
            b = (cv2.blur(rng.random((h, w)), (int(rng.integers(2, 9)), int(rng.integers(2, 5)))) > .5).astype(np.uint8)
        else:
            b = np.zeros((h, w), np.uint8)
            for _ in range(3):
                box = ((rng.random() * w, rng.random() * h), (rng.random() * w, rng.random() * h / 3), rng.random() * 90)
                cv2.fillPoly(b, cv2.boxPoints(box).astype("int32").reshape(1, -1, 2), 1)
        yield b


def corners(points):
    box = cv2.boxPoints(cv2.minAreaRect(points))
    box = box[np.argsort(box[:, 0], kind="stable")]
    left, right = box[:2], box[2:]
    left, right = left[np.argsort(left[:, 1], kind="stable")], right[np.argsort(right[:, 1], kind="stable")]
    return np.array([left[0], right[0], right[1], left[1]])


def compare_contours():
    cases, data = [], b""
    for b in blobs():
        data += ints(b.shape[1], b.shape[0]) + b.tobytes()
        cases.append([c.reshape(-1, 2) for c in cv2.findContours(b * 255, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]])
    out, at, bad = np.frombuffer(raw("contours", data), "int32"), 0, 0
    for want in cases:
        got = []
        at += 1
        for _ in range(out[at - 1]):
            n = out[at]
            got.append(out[at + 1:at + 1 + 2 * n].reshape(-1, 2))
            at += 1 + 2 * n
        bad += len(got) != len(want) or any(a.shape != b.shape or (a != b).any() for a, b in zip(got, want))
    report(not bad, f"contours: {len(cases)} bitmaps, {bad} different")
    contours = [c for case in cases for c in case]
    out = np.frombuffer(raw("rect", b"".join(ints(len(c)) + c.astype("int32").tobytes() for c in contours)), "float32").reshape(-1, 9)
    far = exact = 0
    for c, got in zip(contours, out):
        want = corners(c.reshape(-1, 1, 2))
        exact += (got[:8].reshape(4, 2) == want).all()
        far += got[8] >= 3 and np.abs(got[:8].reshape(4, 2) - want).max() > 1e-3
    report(far <= len(contours) // 2000, f"rectangles of least area: {len(contours)}, {exact} equal to the bit, {far} elsewhere (ties)")


def compare_fill():
    cases, data = [], b""
    for k in range(3000):
        w, h = (int(v) for v in rng.integers(2, 60, 2))
        p = rng.integers(0, [w, h], (4, 2))
        if k % 2:
            p = cv2.boxPoints(((rng.random() * w, rng.random() * h), (rng.random() * w, rng.random() * h), rng.random() * 90))
        p = np.clip(p.astype("int32"), 0, [w - 1, h - 1]).astype("int32")
        mask = np.zeros((h, w), np.uint8)
        cv2.fillPoly(mask, p.reshape(1, -1, 2), 1)
        data += ints(w, h) + p.tobytes()
        cases.append(mask)
    out, at, bad = np.frombuffer(raw("fill", data), np.uint8), 0, 0
    for mask in cases:
        bad += (out[at:at + mask.size].reshape(mask.shape) != mask).any()
        at += mask.size
    report(not bad, f"filled quadrilaterals: {len(cases)}, {bad} different")


def compare_grow():
    cases, data = [], b""
    for _ in range(3000):
        box = cv2.boxPoints(((rng.random() * 300 + 50, rng.random() * 300 + 50), (rng.random() * 200 + 3, rng.random() * 50 + 3), rng.random() * 90))
        poly = Polygon(box)
        offset = pyclipper.PyclipperOffset()
        offset.AddPath(box.tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
        by = poly.area * 1.5 / poly.length
        (grown,) = offset.Execute(by)
        data += np.array([by] + box.astype("float64").ravel().tolist()).tobytes()
        cases.append(set(map(tuple, cv2.convexHull(np.array(grown, "int32").reshape(-1, 1, 2)).reshape(-1, 2))))
    out, at, bad = np.frombuffer(raw("grow", data), "int32"), 0, 0
    for want in cases:
        n = out[at]
        bad += set(map(tuple, out[at + 1:at + 1 + 2 * n].reshape(-1, 2))) != want
        at += 1 + 2 * n
    report(not bad, f"grown boxes: {len(cases)}, {bad} different")


def compare_overlap():
    cases, data = [], b""
    for k in range(2000):
        a, b = rng.integers(0, 60, (int(rng.integers(3, 8)), 2)), rng.integers(0, 60, (4, 2))
        if k % 2:
            a, b = (cv2.convexHull(v.astype("int32")).reshape(-1, 2) for v in (a, b))
        if min(len(a), len(b)) < 3:
            continue
        data += ints(len(a), len(b)) + a.astype("float64").tobytes() + b.astype("float64").tobytes()
        p, q = Polygon(a), Polygon(b)
        cases.append((p.intersection(q).area if p.is_valid and q.is_valid else None, p.is_valid, q.is_valid))
    bad = 0
    for got, (area, p, q) in zip(np.frombuffer(raw("overlap", data)).reshape(-1, 3), cases):
        bad += bool(got[1]) != p or bool(got[2]) != q or (area is not None and abs(got[0] - area) > 1e-9 * max(1, area))
    report(not bad, f"overlaps and simple polygons: {len(cases)}, {bad} different")


# --- whole evaluations

def predictor(model):
    from paddle.inference import Config, create_predictor
    names = os.listdir(model)
    program = next(n for n in names if n.endswith(".pdmodel") or n in ("__model__", "model"))
    params = next((n for n in names if n.endswith(".pdiparams") or n in ("__params__", "params")), None)
    c = Config(os.path.join(model, program), os.path.join(model, params)) if params else Config(model)
    c.disable_gpu()
    c.disable_glog_info()
    c.set_cpu_math_library_num_threads(2)
    p = create_predictor(c)
    inp, out = p.get_input_handle(p.get_input_names()[0]), p.get_output_handle(p.get_output_names()[-1])

    def run(x):
        inp.copy_from_cpu(np.ascontiguousarray(x))
        p.run()
        return out.copy_to_cpu()
    return run


def compare_task(model, data, samples):
    """Our inputs through Paddle and its outputs through our metrics, against the reference script."""
    model, data = os.path.join(SHARED, "models", model), os.path.join(SHARED, "data", data)
    with tempfile.TemporaryDirectory() as tmp:
        theirs = json.loads(subprocess.run(
            [sys.executable, os.path.join(SHARED, "oracle/task_eval.py"), model, data, "--samples", str(samples), "--predictions", tmp + "/p.json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout.splitlines()[-1])
        predictions = json.load(open(tmp + "/p.json"))
        run, out, at = predictor(model), raw("inputs", b"", data, samples), 0
        for i in range(samples):
            dims = np.frombuffer(out, "int64", 4, at)
            x = np.frombuffer(out, "float32", int(dims.prod()), at + 32).reshape(dims)
            at += 32 + x.nbytes
            np.save(f"{tmp}/{i}.npy", run(x))
        lines = raw("eval", b"", data, samples, tmp).decode().splitlines()
        ours = [json.loads(s) for s in lines[:samples]]
        metrics = {s.split()[0]: [float(v) for v in s.split()[1:]] for s in lines[samples:]}
    name = os.path.basename(model)
    near = lambda a, b: np.shape(a) == np.shape(b) and np.abs(np.array(a) - np.array(b)).max(initial=0) <= 1 if isinstance(a, list) else a == b
    different = sum(not near(a, b) for a, b in zip(ours, predictions))
    equal = sum(a == b for a, b in zip(ours, predictions))
    report(not different and len(ours) == len(predictions), f"{name}: {samples} predictions, {equal} equal, {different} different")
    for k, want in theirs.items():
        if k != "samples":
            value, low, high = metrics[k]
            report(abs(value - want) < 2e-6 and low <= value <= high, f"{name}: {k} {value:.6f} [{low:.4f}, {high:.4f}], reference {want}")
    exact = math.isclose(metrics["cosine"][0], 1, abs_tol=1e-9) and metrics["mse"][0] == 0
    report(exact, f"{name}: a model equals itself")


def main():
    compare_resize()
    compare_contours()
    compare_fill()
    compare_grow()
    compare_overlap()
    with tempfile.TemporaryDirectory() as tmp:
        compare_pictures(pictures(tmp), "made pictures")
    if not os.path.isdir(os.path.join(SHARED, "data")):
        print(f"ok {n_tests + 1} - data sets and models # SKIP no {SHARED}")
        print(f"1..{n_tests + 1}")
        return
    files = [os.path.join(d, f) for d, _, names in sorted(os.walk(os.path.join(SHARED, "data"))) for f in sorted(names)
             if re.search(r"\.(jpe?g|png|bmp)$", f, re.I)]
    compare_pictures(files[::16] if QUICK else files, "pictures of the data sets")
    compare_task("ShuffleNetV2_x1_0", "imagenet_500.yaml", 10 if QUICK else 60)
    compare_task("ch_PP-OCRv2_rec", "icdar2015_words_test.yaml", 30 if QUICK else 200)
    compare_task("ch_PP-OCRv3_det", "icdar2015_det.yaml", 8 if QUICK else 40)
    print(f"1..{n_tests}")


if __name__ == "__main__":
    main()
    sys.exit(n_failed > 0)
