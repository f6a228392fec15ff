#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the quantization arithmetic with Paddle's own, bit for bit, on random and awkward arrays.

    make tests/parity/quant_raw && tests/parity/quant.py tests/parity/quant_raw [SEED]

Needs paddle 2.6 with numpy 1.26; prints TAP."""
import os
import subprocess
import sys

import numpy as np
from paddle.static.quantization.post_training_quantization import WeightQuantization

RAW = os.path.abspath(sys.argv[1])
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
FLT_MAX = np.finfo(np.float32).max


def ours(w, axis, bits, rate):
    out = subprocess.run([RAW, str(axis), str(bits), repr(rate)] + [str(d) for d in w.shape],
                         input=w.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    size, n_scales = np.frombuffer(out, np.int32, 2)
    scales = np.frombuffer(out, np.float32, n_scales, 8)
    q = np.frombuffer(out, np.int8 if size == 1 else np.int16, w.size, 8 + 4 * n_scales)
    y = np.frombuffer(out, np.float32, w.size, 8 + 4 * n_scales + size * w.size)
    return scales, q.reshape(w.shape), y.reshape(w.shape)


def theirs(w, axis, bits, rate):
    wq = object.__new__(WeightQuantization)
    limit, dtype = (1 << (bits - 1)) - 1, np.int8 if bits <= 8 else np.int16
    w = w.copy()
    if axis == 0:
        scales, q = wq._conv_channel_wise_quantization(w, limit, dtype)
        y = wq._conv_channel_wise_dequantization(q, scales)
    elif axis == 1:
        scales, q = wq._mul_channel_wise_quantization(w, limit, dtype)
        y = wq._mul_channel_wise_dequantization(q, scales)
    else:  # the body of _weight_abs_max_quantization, which needs a scope
        threshold = np.max(np.abs(w)) if abs(rate) < 1e-10 else wq._calculate_threshold(w, rate)
        if abs(rate) >= 1e-10:
            w[w > threshold] = threshold
            w[w < -threshold] = -threshold
        scale = threshold / limit
        scales, q = [scale], np.around(w / scale).astype(dtype)
        y = (q * scale).astype(np.float32)
    return np.array(scales, np.float32), q, y


def arrays(rng):
    def shape():
        return tuple(int(d) for d in rng.integers(1, 40, 2))
    for _ in range(20):
        yield "normal", rng.normal(size=shape()) * 10.0 ** rng.integers(-6, 3)
    for _ in range(10):
        yield "heavy tails", rng.standard_t(1.5, size=shape())
    for _ in range(5):
        yield "4-D", rng.normal(size=(8, 3, 3, 5))
    for _ in range(10):
        yield "ties", (rng.integers(-255, 256, shape()) / 2) * 2.0 ** rng.integers(-20, 20)
    yield "zeros", np.zeros((5, 7))
    yield "negative zeros", -np.zeros((5, 7))
    zero_row = rng.normal(size=(6, 9))
    zero_row[2] = 0
    yield "zero row", zero_row
    yield "zero column", zero_row.T
    yield "one element", np.array([[-3.7]])
    yield "constant", np.full((4, 33), 0.1)
    yield "huge", rng.uniform(-1, 1, (9, 17)) * 3e38
    yield "largest", np.array([[FLT_MAX, -FLT_MAX, 1.0, 0.0]])
    yield "tiny normal", rng.uniform(-1, 1, (9, 17)) * 1e-31
    yield "subnormal", rng.integers(-60, 61, (9, 17)) * 2.0 ** -149
    yield "long", rng.normal(size=(3, 70001))
    yield "bin edges", np.arange(5001).reshape(3, 1667) / 5000


def main():
    n = 0
    np.seterr(all="ignore")
    failed = 0
    for what, values in arrays(np.random.default_rng(SEED)):
        w = values.astype(np.float32)
        for axis, bits, rate in [(a, b, 0.0) for a in (-1, 0, 1) for b in (8, 16, 4)] + \
                                [(-1, 8, 1e-6), (-1, 8, 0.01), (-1, 16, 0.3), (-1, 8, 1e-11)]:
            if axis == 1 and w.ndim != 2 or what == "subnormal" and bits == 4:
                continue  # the latter: a width that Paddle does not have, see quant.h
            n += 1
            same = all(a.dtype == b.dtype and (a.view(np.uint8) == b.view(np.uint8)).all()
                       for a, b in zip(ours(w, axis, bits, rate),
                                       map(np.ascontiguousarray, theirs(w, axis, bits, rate))))
            failed += not same
            print(f"{'ok' if same else 'not ok'} {n} - {what} {w.shape} axis {axis}, {bits} bits, "
                  f"rate {rate}, seed {SEED}")
    print(f"1..{n}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
