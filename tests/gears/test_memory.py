"""Memory of a whole fit, seen from outside: the most that a process of its own ever held."""

import subprocess
import sys

import pytest

FIT = """
from pathlib import Path
import numpy as np
import pandas as pd
import manumatic as mm

rng = np.random.default_rng(0)
X = rng.standard_normal((500_000, 50))
y = X[:, 0] + X[:, 1]
{change}
net = mm.Regressor(random_state=0, loop=mm.Loop({loop}), device="cpu").fit(X, y)
# ru_maxrss would be that of the process which started this one, if it had more
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
HOLES = """
X[rng.random(X.shape, dtype=np.float32) < 0.05] = np.nan
X = pd.DataFrame(X).add_prefix("column ")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc")
@pytest.mark.parametrize(
    ("change", "loop"),
    [("", "epochs=1"), (HOLES, "epochs=1, time=1")],
    ids=["a whole epoch", "a frame with holes"],
)
def test_a_fit_needs_less_than_twice_the_data_and_a_gigabyte(change: str, loop: str) -> None:
    code = FIT.format(change=change, loop=loop)
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(told.stdout) * 1024 < 2 * 500_000 * 50 * 8 + 1e9
