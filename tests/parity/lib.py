# SPDX-License-Identifier: Apache-2.0
"""What the comparisons with a reference share: calls of qslim and of paddle_lite_opt, and TAP."""
import json
import os
import subprocess
import sys

n = failed = 0


def report(ok, what, detail=""):
    """A test point; the detail is a comment when it failed."""
    global n, failed
    n += 1
    failed += not ok
    print(("ok" if ok else "not ok"), n, "-", what, flush=True)
    if not ok and detail:
        print("# " + str(detail).replace("\n", "\n# "), flush=True)


def end():
    print(f"1..{n}")
    sys.exit(failed != 0)


def call(qslim, *arg):
    """What the command says as JSON; RuntimeError with its message when it fails."""
    r = subprocess.run([qslim, *arg, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if r.returncode:
        raise RuntimeError(f"{' '.join(arg)}: {r.stderr.strip() or 'exit status %d' % r.returncode}")
    return json.loads(r.stdout)


def opt_verdict(opt, program, params, out):
    """Whether paddle_lite_opt takes the model, and the size of out.nb or what it says."""
    if os.path.exists(out + ".nb"):
        os.unlink(out + ".nb")
    r = subprocess.run([opt, f"--model_file={program}", f"--param_file={params}", f"--optimize_out={out}",
                        "--valid_targets=arm"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if r.returncode == 0 and os.path.exists(out + ".nb"):
        return True, os.path.getsize(out + ".nb")
    tail = "\n".join(r.stdout.decode(errors="replace").splitlines()[-6:])
    return False, f"status {r.returncode}\n{tail}"


def each(items, compare, what):
    """A test point for each item: the name of a model, a comma and more."""
    for item in items:
        try:
            good, why = compare(item), ""
        except Exception as e:  # one model must not hide the others
            good, why = False, (str(e).strip() or repr(e))[:600]
        report(good, f"{what} {os.path.basename(item)}", why)
    end()
