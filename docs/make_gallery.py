"""Run the examples and show them in docs/gallery.md: python docs/make_gallery.py [--only 10 11].

Each runs twice, in a folder of its own: for a light page and for a dark one. What it printed and
the pictures that it left are kept. One that cannot run here stays as it was, and is named.
"""

__all__ = ["main"]

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parent
PAGE, PICTURES = DOCS / "gallery.md", DOCS / "pictures" / "gallery"
EXAMPLES = sorted((DOCS.parent / "examples").glob("*.py"))
CARDS = {"dark": "#201e1b", "light": "#ffffff"}  # as in gallery_dark.rc and gallery_light.rc
MOST = 60_000  # bytes a picture
LINES = 16  # printed lines that are shown at once

TOP = """# Gallery

Short programs, each run by the tests. Whatever is learned, they have the same five parts: **data**,
**model**, **loss**, **optimizer**, **loop**. What a program does not name, automatic decides, and
writes into the logbook.

The pictures and the printed lines are the programs' own: `docs/make_gallery.py` ran them and wrote
this page.
"""
THEMES = tomllib.loads((DOCS / "gallery.toml").read_text(encoding="utf-8"))


def main() -> None:
    """Run what is asked for, then write the page of all."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", nargs="*", metavar="NN", help="these; none: the page alone")
    arguments.add_argument("--skip", nargs="*", metavar="NN", default=[])
    asked = arguments.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    shown = re.findall(r"^### (\d\d) (?:(?!^##).)*?^```text\n(.*?)\n```$", page, re.M | re.S)
    printed, failed = dict(shown), []
    for example in EXAMPLES:
        number = example.stem[:2]
        if number in asked.skip or (asked.only is not None and number not in asked.only):
            continue
        try:
            printed[number] = _run(example)
            print(f"{example.stem}: done", flush=True)
        except subprocess.CalledProcessError as error:
            failed.append(example.stem)
            print(f"{example.stem}: stays as it was\n{error.stderr}", file=sys.stderr, flush=True)
    PAGE.write_text(_page(printed), encoding="utf-8")
    if failed:
        sys.exit(f"could not run here: {', '.join(failed)}")


def _run(example: Path) -> str:
    """What it printed; its pictures take the place of those of the last run."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {scheme: Path(scratch) / scheme for scheme in CARDS}
        with ThreadPoolExecutor() as pool:
            printed = list(pool.map(partial(_draw, example), folders, folders.values()))
        for old in PICTURES.glob(f"{example.stem}*"):
            old.unlink()
        for scheme, folder in folders.items():
            for place, path in enumerate(sorted(folder.glob("*.[ps][nv]g"))):
                name = example.stem + (f"-{place + 1}" if place else "")
                if path.suffix == ".svg":  # of the house: light or dark as its reader prefers
                    (PICTURES / f"{name}.svg").write_bytes(path.read_bytes())
                else:
                    _shrink(path, PICTURES / f"{name}_{scheme}.png", CARDS[scheme])
    return printed[-1].rstrip()


def _draw(example: Path, scheme: str, folder: Path) -> str:
    folder.mkdir()
    look = {"MATPLOTLIBRC": str(DOCS / f"gallery_{scheme}.rc"), "MPLBACKEND": "agg"}
    return subprocess.run(
        [sys.executable, str(example)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | look,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _shrink(path: Path, to: Path, card: str) -> None:
    """On its card, with fewer colours until it is small."""
    with Image.open(path) as opened:
        drawn = opened.convert("RGBA")
    drawn.thumbnail((1000, 1000))
    image = Image.alpha_composite(Image.new("RGBA", drawn.size, card), drawn).convert("RGB")
    for colours in (256, 64, 32, 16, 8):
        image.quantize(colours).save(to, optimize=True)
        if to.stat().st_size <= MOST:
            return
    raise ValueError(f"{to.name} has {to.stat().st_size:,} bytes; at most {MOST:,} are allowed")


def _page(printed: dict[str, str]) -> str:
    there = {example.stem[:2] for example in EXAMPLES}
    if new := there - {number for notes in THEMES.values() for number in notes}:
        raise ValueError(f"docs/gallery.toml says nothing of {', '.join(sorted(new))}")
    parts = [TOP.rstrip()]
    for theme, notes in THEMES.items():
        found = {number: note for number, note in notes.items() if number in there}
        parts += [f"## {theme}"] if found else []
        parts += [_section(number, note, printed) for number, note in found.items()]
    return "\n\n".join(parts) + "\n"


def _section(number: str, note: dict[str, str], printed: dict[str, str]) -> str:
    (example,) = (path for path in EXAMPLES if path.stem.startswith(number))
    said = re.sub(r" +$", "", printed.get(number, "not run yet"), flags=re.M)
    text = f"```text\n{said}\n```"
    if said.count("\n") >= LINES:
        count = said.count("\n") + 1
        text = f"<details><summary>It prints {count} lines</summary>\n\n{text}\n\n</details>"
    parts = [
        f"### {number} {note['title']}",
        f"{note['shows']}\n*“{note['saying']}”* {note['answer']}",
        *_pictures(example, **note),
        text,
        f"[`examples/{example.name}`](../examples/{example.name})",
    ]
    return "\n\n".join(parts)


def _pictures(example: Path, title: str, picture: str | None = None, **_: str) -> list[str]:
    """Its own, or one of docs/make_pictures.py where the note names it."""
    drawn = sorted(PICTURES.glob(f"{example.stem}*.svg"))
    paths = [DOCS / "pictures" / picture] if picture else drawn
    shown = [f'<img alt="{title}" src="{path.relative_to(DOCS).as_posix()}">' for path in paths]
    for path in sorted(PICTURES.glob(f"{example.stem}*_light.png")):
        light = path.relative_to(DOCS).as_posix()
        dark = f'srcset="{light.replace("_light.png", "_dark.png")}"'
        source = f'<source media="(prefers-color-scheme: dark)" {dark}>'
        shown.append(f'<picture>{source}<img alt="{title}" src="{light}"></picture>')
    return shown


if __name__ == "__main__":
    main()
