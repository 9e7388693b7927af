"""Every code has a page, the programs on it print what they say, and docs/findings is the same."""

import ast
import contextlib
import io
import re
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import manumatic as mm
from manumatic.doctor.explain import explain
from manumatic.doctor.finding import CODES
from manumatic.doctor.handbook import FINDINGS, HEADINGS

DOCS = Path(__file__).resolve().parents[2] / "docs"
ALLOWED = {"manumatic", "numpy", "sklearn", "torch", *sys.stdlib_module_names}
SAID = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
NUMBER = re.compile(r"\d+\.\d+|\d+%")


def outside_programs(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("    ")]


# --- what explain says -------------------------------------------------------------------------


def test_every_code_has_a_page_and_no_other_has() -> None:
    assert set(FINDINGS) == set(CODES)
    assert list(FINDINGS) == list(CODES) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_page_says_all_that_it_should(code: str) -> None:
    text, (severity, title) = explain(code), CODES[code]
    assert text.startswith(f"{code} {severity}: {title}\n")
    lines = outside_programs(text)
    assert [line for line in lines if line in HEADINGS.values()] == list(HEADINGS.values())
    assert max(map(len, lines)) <= 92
    assert f'mm.ignore("{code}")' in text
    assert f'mm.Watch(ignore=["{code}"])' in text
    assert all(part.strip() for part in FINDINGS[code])
    assert text.code.splitlines()[0] in text


@pytest.mark.parametrize("code", ["mm201", " MM201\n", "Mm201"])
def test_a_code_may_be_written_in_any_case(code: str) -> None:
    assert explain(code) == explain("MM201")


@pytest.mark.parametrize(("code", "near"), [("MM20", "MM20[0-9]"), ("mm312", "MM31[0-9]")])
def test_an_unknown_code_is_one_clear_error(code: str, near: str) -> None:
    message = rf"no finding has the code '{code.upper()}'; .* Did you mean '{near}'\?$"
    with pytest.raises(mm.ComponentError, match=message):
        explain(code)


@pytest.mark.parametrize("word", ["findings", "doctor", "Findings"])
def test_all_codes_are_listed(word: str) -> None:
    listed = re.findall(r"^  (MM\d{3})  (issue|tip  )  (.+)$", explain(word), re.MULTILINE)
    assert [(c, s.strip(), t) for c, s, t in listed] == [(c, *said) for c, said in CODES.items()]


@pytest.mark.parametrize("name", ["MM201", "findings", "Classifier"])
def test_a_page_loads_no_torch(name: str) -> None:
    code = f"import sys, manumatic as mm\nmm.explain({name!r})\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the programs ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_the_program_of_a_page_prints_what_it_says(code: str) -> None:
    """The comment after each print is what it prints, up to a colon and words."""
    if code == "MM102" and torch.__version__ < "2.13":
        pytest.skip("the page quotes torch 2.13, which says it in other words")
    program, out, start = FINDINGS[code].code, io.StringIO(), time.process_time()
    with contextlib.redirect_stdout(out), torch.random.fork_rng([]):
        exec(compile(program, code, "exec"), {"__name__": code})
    assert time.process_time() - start < 5
    said, printed = SAID.findall(program), out.getvalue().splitlines()
    assert len(said) == len(printed) >= 2
    for comment, line in zip(said, printed, strict=True):
        assert is_told(line, comment), comment


def is_told(line: str, comment: str) -> bool:
    """Whether a comment begins with a line, numbers nearly: another CPU adds up otherwise."""
    words = NUMBER.sub("#", line)
    if not f"{NUMBER.sub('#', comment)}: ".startswith(f"{words}: "):
        return False
    for found in zip(NUMBER.finditer(line), NUMBER.finditer(comment), strict=False):
        printed, told = (float(number.group().rstrip("%")) for number in found)
        share = found[0].group().endswith("%")
        if abs(printed - told) > (5 if share else 0.05 * abs(told)):
            return False
    return True


def test_a_comment_with_another_number_is_not_told() -> None:
    assert is_told("78% right", "79% right: as it should be")
    assert not is_told("78% right", "89% right")
    assert not is_told("78.5", "85.9")
    assert not is_told("78% right", "78% wrong")


@pytest.mark.parametrize("code", CODES)
def test_programs_need_torch_numpy_and_scikit_learn_only(code: str) -> None:
    tree = ast.parse(FINDINGS[code].code)
    ast.parse(FINDINGS[code].fix.strip())
    found = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [node.names[0].name])
    }
    assert found <= ALLOWED


@pytest.mark.parametrize("code", CODES)
def test_the_numbers_of_a_page_are_those_of_its_program(code: str) -> None:
    """What is measured is measured in front of the reader."""
    page = FINDINGS[code]
    versions = re.sub(r"(left scikit-learn in|whole models since) \d+\.\d+", "", page.meaning)
    assert [number for number in NUMBER.findall(versions) if number not in page.code] == []


# --- the docs ----------------------------------------------------------------------------------


def test_the_files_are_what_the_generator_makes() -> None:
    pages = runpy.run_path(str(DOCS / "make_findings.py"))["pages"]()
    assert set(pages) == set((DOCS / "findings").iterdir())
    assert [path.name for path, text in pages.items() if path.read_text("utf-8") != text] == []


def test_the_page_of_the_doctor_leads_to_each() -> None:
    text = (DOCS / "doctor.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"[{code}](findings/{code}.md)" not in text] == []
