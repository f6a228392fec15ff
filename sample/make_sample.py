#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the sample: a small trained model and labelled images.

Writes beside this file: digits/ (program and parameters), data/ (images and lists), digits.yaml and
digits_calib.yaml. Needs paddlepaddle 2.6, scikit-learn, opencv and numpy from PyPI; takes about two
minutes. The accuracy it prints is measured on the images as written, read back and prepared the way
PaddleClas does, with the exported model.
"""
import argparse
import os
import shutil

import cv2
import numpy as np
import paddle
from paddle import nn
from paddle.base.proto import framework_pb2
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SIDE = 32  # what the network sees; the images keep their own 8x8
MEAN, STD = 0.5, 0.5
N_VAL, N_CALIB = 360, 64

YAML = """\
type: classification
list: data/{name}_list.txt
preprocess:
  color: rgb
  resize_short: {side}
  crop: {side}
  scale: 0.00392156862745098
  mean: [{mean}, {mean}, {mean}]
  std: [{std}, {std}, {std}]
"""


def conv_bn(c_in, c_out, kernel, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2D(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias_attr=False),
        nn.BatchNorm2D(c_out),
        nn.Hardswish(),
    )


def separable(c_in, c_out, stride):
    return nn.Sequential(conv_bn(c_in, c_in, 3, stride, groups=c_in), conv_bn(c_in, c_out, 1))


class Digits(nn.Layer):
    """[n, 3, 32, 32] -> [n, 10] probabilities."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, 16, 3, stride=2),
            separable(16, 32, 1),
            nn.MaxPool2D(2, 2),
            separable(32, 48, 1),
            separable(48, 64, 2),
            separable(64, 96, 1),
        )
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.fc1 = nn.Linear(96, 64)
        self.act = nn.Hardswish()
        self.fc2 = nn.Linear(64, 10)

    def logits(self, x):
        x = paddle.flatten(self.pool(self.features(x)), 1)
        return self.fc2(self.act(self.fc1(x)))

    def forward(self, x):
        return nn.functional.softmax(self.logits(x))


def preprocess(image):
    """[h, w, 3] uint8 BGR -> [3, 32, 32] float32, as PaddleClas: ResizeImage(resize_short),
    CropImage, NormalizeImage, ToCHWImage."""
    h, w = image.shape[:2]
    ratio = SIDE / min(h, w)
    image = cv2.resize(image[:, :, ::-1], (round(w * ratio), round(h * ratio)))
    top, left = (image.shape[0] - SIDE) // 2, (image.shape[1] - SIDE) // 2
    image = image[top:top + SIDE, left:left + SIDE].astype("float32")
    image = (image * np.float32(1 / 255) - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def augment(image, rng):
    """Shifts, turns, scales and shears a grey [8, 8] image a little."""
    turn, shear = rng.uniform(-0.15, 0.15), rng.uniform(-0.1, 0.1)
    zoom = rng.uniform(0.9, 1.1, 2)
    a = np.array([[np.cos(turn), -np.sin(turn) + shear], [np.sin(turn), np.cos(turn)]]) * zoom
    centre = np.array([3.5, 3.5])
    move = centre - a @ centre + rng.uniform(-0.7, 0.7, 2)
    return cv2.warpAffine(image, np.column_stack([a, move]), (8, 8), flags=cv2.INTER_LINEAR)


def batch_of(images):
    return np.stack([preprocess(cv2.cvtColor(i, cv2.COLOR_GRAY2BGR)) for i in images])


def train(images, labels, epochs, rng):
    model = Digits()
    batch = 64
    steps = epochs * (len(images) // batch)
    rate = paddle.optimizer.lr.CosineAnnealingDecay(0.004, steps)
    adam = paddle.optimizer.AdamW(rate, parameters=model.parameters(), weight_decay=0.01)
    for epoch in range(epochs):
        order = rng.permutation(len(images))
        for i in range(len(images) // batch):
            pick = order[i * batch:(i + 1) * batch]
            x = paddle.to_tensor(batch_of([augment(images[j], rng) for j in pick]))
            y = paddle.to_tensor(labels[pick])
            loss = nn.functional.cross_entropy(model.logits(x), y, label_smoothing=0.05)
            loss.backward()
            adam.step()
            adam.clear_grad()
            rate.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {float(loss):.4f}", flush=True)
    model.eval()
    return model


def strip_program(path):
    """Takes the Python call stacks, which name files of this machine, out of the program."""
    program = framework_pb2.ProgramDesc()
    with open(path, "rb") as f:
        program.ParseFromString(f.read())
    for block in program.blocks:
        for op in block.ops:
            keep = [a for a in op.attrs if a.name not in ("op_callstack", "op_namescope")]
            del op.attrs[:]
            op.attrs.extend(keep)
    with open(path, "wb") as f:
        f.write(program.SerializeToString(deterministic=True))


def export(model, folder):
    prefix = os.path.join(folder, "model")
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "x")
    paddle.jit.save(paddle.jit.to_static(model, input_spec=[spec]), prefix)
    strip_program(prefix + ".pdmodel")
    if os.path.exists(prefix + ".pdiparams.info"):
        os.remove(prefix + ".pdiparams.info")
    return prefix


def write_split(top, name, images, labels):
    """Grey PNG files and the list 'path label'."""
    os.makedirs(os.path.join(top, "data", name), exist_ok=True)
    with open(os.path.join(top, "data", f"{name}_list.txt"), "w") as f:
        for i, (image, label) in enumerate(zip(images, labels)):
            path = f"{name}/{i:03}.png"
            cv2.imwrite(os.path.join(top, "data", path), image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
            f.write(f"{path} {label}\n")
    yaml = "digits.yaml" if name == "val" else f"digits_{name}.yaml"
    with open(os.path.join(top, yaml), "w") as f:
        f.write(YAML.format(name=name, side=SIDE, mean=MEAN, std=STD))


def evaluate(prefix, data, name):
    """Top-1 of the exported files on the images as written."""
    paddle.enable_static()
    exe = paddle.static.Executor(paddle.CPUPlace())
    program, feeds, fetches = paddle.static.load_inference_model(prefix, exe)
    right = total = 0
    with open(os.path.join(data, f"{name}_list.txt")) as f:
        for line in f:
            path, label = line.split()
            x = preprocess(cv2.imread(os.path.join(data, path)))[None]
            (y,) = exe.run(program, {feeds[0]: x}, fetches)
            right += int(y[0].argmax()) == int(label)
            total += 1
    paddle.disable_static()
    return right, total


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--output", default=here, help="folder to write to (default: this one)")
    args = parser.parse_args()

    paddle.seed(args.seed)
    paddle.set_flags({"FLAGS_cpu_deterministic": True})
    rng = np.random.default_rng(args.seed)
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype("uint8")
    x_train, x_val, y_train, y_val = train_test_split(
        images, digits.target.astype("int64"), test_size=N_VAL, random_state=args.seed,
        stratify=digits.target)

    for part in ("data", "digits"):
        shutil.rmtree(os.path.join(args.output, part), ignore_errors=True)
    prefix = export(train(x_train, y_train, args.epochs, rng), os.path.join(args.output, "digits"))
    write_split(args.output, "val", x_val, y_val)
    write_split(args.output, "calib", x_train[:N_CALIB], y_train[:N_CALIB])
    for name in ("val", "calib"):
        right, total = evaluate(prefix, os.path.join(args.output, "data"), name)
        print(f"{name}: {right} of {total} right, top-1 {right / total:.4f}")


if __name__ == "__main__":
    main()
