"""A stream larger than memory: how fast it trains, and how much memory it takes.

    python benchmarks/stream.py                            # 2 GB
    python benchmarks/stream.py --gigabytes 20 --write     # and refresh docs/scale.md

One file of about 200 MB stands many times in the list of files, as if it were as many files.  Its
numbers are random float64, so Parquet does not make them smaller.  Each fit runs in a process of
its own, which reports the most memory that it ever had (``VmHWM``, so Linux only).
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from table import environment, markdown, refresh

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
COLUMNS, ROWS, GROUP = 50, 500_000, 50_000
HEADER = ("on disk", "rows", "CPU time of one epoch", "a second", "most memory", "R²")


def write_file(path: str, rows: int = ROWS) -> int:
    """Rows whose target is a line plus noise of variance 1; returns the bytes of the file."""
    import numpy as np
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, COLUMNS))
    table = {f"x{number}": X[:, number] for number in range(COLUMNS)}
    table["y"] = X @ np.linspace(0.0, 1.0, COLUMNS) + rng.normal(size=rows)
    parquet.write_table(
        arrow.table(table), path, row_group_size=GROUP, use_dictionary=False, compression="none"
    )
    return Path(path).stat().st_size


def measure(path: str, times: int) -> dict[str, Any]:
    """Fit once over the file so many times."""
    import pyarrow.parquet as parquet

    import manumatic as mm

    rows = mm.Parquet([path] * times, target="y")
    net = mm.Regressor(
        "linear", data=mm.Data(batch_size=8192), loop=mm.Loop(epochs=1), random_state=0
    )
    began = time.process_time()
    net.fit(rows)
    seconds = time.process_time() - began
    frame = parquet.ParquetFile(path).read_row_group(0).to_pandas()
    return {
        "rows": len(rows),
        "seconds": seconds,
        "r2": net.score(frame, frame.pop("y")),
        "memory": most_memory(),
    }


def most_memory() -> float:
    """GB that this process ever had.

    ``ru_maxrss`` would be that of the process which started this one, if it had more.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


def report(gigabytes: float) -> str:
    """Two lines: a tenth of it, and all of it."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/rows.parquet"
        size = write_file(path)
        for wanted in (gigabytes / 10, gigabytes):
            times = max(1, round(wanted * 1e9 / size))
            command = [sys.executable, __file__, "--measure", path, str(times)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found, read = json.loads(done.stdout), size * times / 1e9
            lines.append(
                (
                    f"{read:.1f} GB",
                    f"{found['rows']:,}",
                    f"{found['seconds']:.0f} s",
                    f"{1000 * read / found['seconds']:.0f} MB",
                    f"{found['memory']:.2f} GB",
                    f"{found['r2']:.3f}",
                )
            )
    about = environment(["manumatic", "torch", "scikit-learn", "pyarrow"])
    return f"{about}.\n\n{markdown(HEADER, lines)}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--write", action="store_true", help="refresh docs/scale.md")
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "TIMES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], int(options.measure[1]))))
        return
    text = report(options.gigabytes)
    print(text)
    if options.write:
        refresh(PAGE, "stream", text)


if __name__ == "__main__":
    main()
