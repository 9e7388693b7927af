"""Do two networks, or a network and its script, end with the same weights?"""

import atexit
import functools
import subprocess
import sys

import torch

# Each script runs in a process of its own, forked from one that has imported what all of them
# import.
RUNNER = """
import os, runpy, sys, warnings
import torch, pandas, sklearn.compose, sklearn.pipeline, sklearn.model_selection
import torch.optim.swa_utils
warnings.simplefilter("error", RuntimeWarning)
for line in sys.stdin:
    if os.fork() == 0:
        script = line.strip()
        sys.stdout = open(os.devnull, "w")
        space = runpy.run_path(script)
        assert not any(name.startswith("manumatic") for name in sys.modules)
        torch.save(space["model"].state_dict(), script + ".pt")
        os._exit(0)
    print(os.wait()[1], flush=True)
"""


@functools.cache
def _runner():
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(runner.communicate)
    return runner


def run_script(script):
    """A script → the weights that it ends with."""
    runner = _runner()
    runner.stdin.write(f"{script}\n")
    runner.stdin.flush()
    assert runner.stdout.readline() == "0\n", "the script failed"
    return torch.load(f"{script}.pt")


def same(one, other):
    """Whether all weights are equal, bit for bit; the other may be weights alone."""
    other = other if isinstance(other, dict) else other.state_dict()
    return all(torch.equal(weight, other[name]) for name, weight in one.state_dict().items())


def gears_agree(net, X, y, folder):
    """Fit, step and eject; returns the script after all three ended with the same weights."""
    automatic = net.fit(X, y)
    manual = net.manual(X, y)
    for _ in manual:
        pass
    assert same(automatic.model_, manual.model)
    text = net.eject(folder / "train.py", X, y)
    assert same(automatic.model_, run_script(folder / "train.py"))
    return text
