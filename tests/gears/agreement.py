"""Do two networks, or a network and its script, end with the same weights?"""

import os
import subprocess
import sys

import torch


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
    saved = f"{text}\ntorch.save(model.state_dict(), {str(folder / 'w.pt')!r})\n"
    (folder / "train.py").write_text(saved)
    subprocess.run(
        [sys.executable, folder / "train.py"],
        check=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert same(automatic.model_, torch.load(folder / "w.pt"))
    return text
