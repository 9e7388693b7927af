"""Reading what a user has: CSV in its dialects, JSON, Parquet, arrays."""

__all__ = [
    "UsageError",
    "check_free",
    "has_column",
    "holds_pictures",
    "read_table",
    "wanted_target",
]

import csv
import gzip
import io
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manumatic.errors import DataError, ManumaticError, MissingExtra, nearest
from manumatic.files import names_picture

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
COMMA_NUMBER = re.compile(r"\s*[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+\s*")
POINT_NUMBER = re.compile(r"\s*[-+]?\d*\.\d+\s*")
# 1,234.50  $12  -7,000 €  12.5 %: how a spreadsheet shows a number; by the decimal sign
DRESSED = {
    sign: re.compile(
        rf"\s*[-+]?[$€£]?\s*(\d{{1,3}}(?:{group}\d{{3}})+|\d+)({re.escape(sign)}\d*)?\s*[$€£%]?\s*"
    )
    for sign, group in ((".", ","), (",", r"\."))
}
SHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
READS = (
    "CSV, TSV, JSON, Parquet (or a folder of it); .npz with X and y; - for CSV from stdin; "
    "a folder of images, FOLDER/LABEL/..."
)
LIKELY_TARGETS = ("target", "y", "label", "class", "outcome", "response")


class UsageError(ManumaticError, ValueError):
    """The command line cannot be followed: exit code 2."""


def check_free(path: str | Path | None, force: bool) -> None:
    """Raise UsageError where a file would be written over that nobody gave up."""
    if path is not None and Path(path).exists() and not force:
        raise UsageError(f"{path} exists; --force overwrites it")


def read_table(path: str, *, lazy: bool = False) -> tuple[Any, Any, list[str]]:
    """Read a file.

    Parameters
    ----------
    path : str
        ``.csv``, ``.tsv``, ``.txt``, ``.json``, ``.jsonl`` (also with ``.gz`` behind it),
        ``.parquet``, ``.npz`` with the arrays X and y, or ``-`` for CSV from standard input; an
        image or a folder of them.
    lazy : bool
        Images are read later, as they are needed.

    Returns
    -------
    X : DataFrame, ndarray or Images
        All columns; for ``.npz`` the array X.
    y : ndarray or None
        The array y of an ``.npz``; what the folders of images are called.
    notes : list of str
        What had to be guessed.

    Raises
    ------
    UsageError
        There is no such file.
    DataError
        It holds no table.
    """
    notes: list[str] = []
    if holds_pictures(path):
        from manumatic.parts.images import Images, read_whole

        images = Images(path if Path(path).is_dir() else [path])
        return images if lazy else read_whole(images), images.labels, [repr(images)]
    kind, raw = _bytes(path)
    if kind in SHEETS:
        raise DataError(f"{path} is a spreadsheet; save it as CSV, and give that")
    if not raw.strip():
        raise DataError(f"{path} is empty")
    if kind == ".npz":
        return *_arrays(path, raw), notes
    if kind == ".parquet":
        return _with_images(path, _parquet(path, raw)), None, notes
    text = _decoded(path, raw, notes)
    if kind in (".json", ".jsonl", ".ndjson"):
        return _with_images(path, _json(path, text, lines=kind != ".json")), None, notes
    frame = _csv(path, text, "\t" if kind == ".tsv" else None, notes)
    return _with_images(path, frame), None, notes


def _with_images(path: str, frame: "pd.DataFrame") -> "pd.DataFrame":
    """Names of images that lie beside the table, and not where we are, with their folder."""

    def found(cell: Any) -> Any:
        beside = Path(path).parent / str(cell)
        known = not names_picture(cell) or Path(cell).is_file() or not beside.is_file()
        return cell if known else str(beside)

    for name in frame:
        if any(map(names_picture, frame[name].dropna()[:1])):
            frame[name] = frame[name].map(found)
    return frame


def holds_pictures(path: str) -> bool:
    """Whether this is an image, or a folder with images somewhere in it."""
    place = Path(path)
    if not place.is_dir():
        return names_picture(path) and place.is_file()
    files = [*place.rglob("*")]
    return any(map(names_picture, files)) and all(file.suffix != ".parquet" for file in files)


def _bytes(path: str) -> tuple[str, bytes]:
    """The suffix that says what is inside, and the bytes."""
    if path == "-":
        return ".csv", sys.stdin.buffer.read()
    file = Path(path)
    if not file.is_file():
        here = [entry.name for entry in file.parent.glob("*")] if file.parent.is_dir() else []
        what = "is a directory without images" if file.is_dir() else "no such file"
        raise UsageError(f"{path}: {what}.{nearest(file.name, here)}")
    raw = file.read_bytes()
    if file.suffix.lower() == ".gz":
        try:
            return Path(file.stem).suffix.lower(), gzip.decompress(raw)
        except (OSError, EOFError) as error:
            raise DataError(f"{path} is no gzip file: {error}") from None
    return file.suffix.lower(), raw


def _decoded(path: str, raw: bytes, notes: list[str]) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    strange = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in raw[:10_000])
    if strange > 0.01 * len(raw[:10_000]):
        raise DataError(f"{path} is not text; give CSV, JSON or Parquet (with that suffix)")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        notes.append(f"{path} is not UTF-8 (byte {error.start}); read as Latin-1")
        return raw.decode("latin-1")


def _csv(path: str, text: str, separator: str | None, notes: list[str]) -> "pd.DataFrame":
    import pandas as pd

    lines = [line for line in text.splitlines()[:200] if line.strip()]
    separator = separator or _separator(lines)
    header, *cells = list(csv.reader(lines, delimiter=separator))
    names = [name.strip() for name in header]
    if separator != ",":
        notes.append(f"columns are separated by {SEPARATORS[separator]}")
    if not cells:
        raise DataError(f"{path} has a header ({', '.join(names[:8])}) but no rows")
    repeated = [name for name, count in Counter(filter(None, names)).items() if count > 1]
    if repeated:
        raise DataError(
            f"{path}: column {repeated[0]!r} appears more than once; rename one of them"
        )
    if len(cells[0]) > len(names):
        raise DataError(f"{path}: row 1 has {len(cells[0])} cells, the header {len(names)}")
    decimal = _decimal(cells, separator, notes)
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            decimal=decimal,
            skipinitialspace=True,
            low_memory=False,
        )
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: {str(error).strip().splitlines()[-1]}") from None
    return _undressed(_without_index(frame.rename(columns=str.strip), notes), decimal, notes)


def _separator(lines: list[str]) -> str:
    """The one that cuts most rows like the header, into the most cells."""

    def fit(separator: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator)]
        alike = sum(width == widths[0] for width in widths) / len(widths)
        return (alike, widths[0]) if widths[0] > 1 else (0.0, 0)

    return max(SEPARATORS, key=fit)


def _decimal(rows: list[list[str]], separator: str, notes: list[str]) -> str:
    """The decimal sign; where no comma separates columns, 3,5 may be a number."""
    cells = [cell for row in rows for cell in row]
    commas = sum(COMMA_NUMBER.fullmatch(cell) is not None for cell in cells)
    if separator == "," or commas <= sum(
        POINT_NUMBER.fullmatch(cell) is not None for cell in cells
    ):
        return "."
    notes.append("numbers have decimal commas")
    return ","


def _without_index(frame: "pd.DataFrame", notes: list[str]) -> "pd.DataFrame":
    """Nameless columns that are empty or count the rows come from a spreadsheet or from pandas."""
    for name in [name for name in frame if name.startswith("Unnamed: ")]:
        column = frame[name]
        counts = range(len(frame)), range(1, len(frame) + 1)
        if column.isna().all() or any(list(column) == list(count) for count in counts):
            notes.append("a column without a name was left out: it is empty or counts the rows")
            frame = frame.drop(columns=name)
    return frame


def _undressed(frame: "pd.DataFrame", decimal: str, notes: list[str]) -> "pd.DataFrame":
    """Columns whose every cell is a number with thousands signs or a unit, as numbers.

    Pandas' own ``thousands`` would make a number of the date 01.02.2024.
    """
    import pandas as pd

    found = {}
    for name in frame.select_dtypes(["object", "string"]):
        given = frame[name].dropna()
        if len(given) and all(DRESSED[decimal].fullmatch(str(cell)) for cell in given):
            plain = given.astype(str).str.replace(rf"[^\d{decimal}+-]", "", regex=True)
            found[name] = pd.to_numeric(plain.str.replace(",", ".")).reindex(frame.index)
    if found:
        names = ", ".join(map(str, found))
        notes.append(f"read as numbers, without thousands signs and units: {names}")
    return frame.assign(**found)


def _json(path: str, text: str, *, lines: bool) -> "pd.DataFrame":
    import pandas as pd

    try:
        found = (
            [json.loads(line) for line in text.splitlines() if line.strip()]
            if lines
            else json.loads(text)
        )
        frame = pd.DataFrame(found)
    except ValueError as error:
        raise DataError(f"{path} is no table in JSON: {error}") from None
    if frame.empty or not all(isinstance(name, str) for name in frame):
        raise DataError(f"{path} holds no rows; give a list of objects: [{{'a': 1, 'b': 2}}, ...]")
    return frame


def _parquet(path: str, raw: bytes) -> "pd.DataFrame":
    import pandas as pd

    try:
        return pd.read_parquet(io.BytesIO(raw))
    except ImportError:
        raise MissingExtra("pyarrow", "arrow") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no Parquet file: {error}") from None


def _arrays(path: str, raw: bytes) -> tuple[Any, Any]:
    import numpy as np

    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
            return archive["X"], archive["y"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} does not hold the arrays X and y: {error}") from None


def has_column(frame: "pd.DataFrame", name: str, path: str) -> str:
    """The name, when the table has such a column."""
    if name not in frame.columns:
        raise UsageError(
            f"no column {name!r} in {path}.{nearest(name, frame.columns)} {_columns(frame)}"
        )
    return name


def wanted_target(frame: "pd.DataFrame", name: str | None, path: str) -> str:
    """The column to predict; where none was named, an error that helps to name one."""
    if name is not None:
        _check_target(frame[has_column(frame, name, path)], name)
        return name
    if not hasattr(frame, "columns"):
        raise UsageError(
            f"the images in {path} have no labels: sort them into a folder for each, FOLDER/LABEL/"
        )
    likely = [column for column in frame.columns if column.lower() in LIKELY_TARGETS]
    hint = f" Perhaps --target {likely[0]}?" if len(likely) == 1 else ""
    raise UsageError(
        f"which column of {path} is to be predicted? Add --target NAME.{hint} {_columns(frame)}"
    )


def _check_target(column: "pd.Series[Any]", name: str) -> None:
    """Raise DataError where words hardly repeat, so that no class could be learned."""
    words, rows = column.nunique(), len(column)
    if rows > 20 and words > rows / 2 and all(isinstance(cell, str) for cell in column.dropna()):
        raise DataError(
            f"the target {name!r} holds {words:,} different words in {rows:,} rows "
            f"({column.dropna().iloc[0]!r}, ...), too many to be labels; "
            "are they numbers that need cleaning?"
        )


def _columns(frame: "pd.DataFrame") -> str:
    shown = [str(column) for column in frame.columns[:20]]
    return f"Columns: {', '.join(shown)}{', ...' if frame.shape[1] > 20 else ''}"
