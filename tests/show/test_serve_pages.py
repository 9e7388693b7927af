"""The pages of a served model: what is shown can be pasted, and a browser shows what matters."""

import html
import json
import re
import shlex
import shutil
import subprocess

import pytest

from manumatic.deliver.schema import Column, Schema
from manumatic.deliver.serve.page import render_docs, render_page

EXAMPLE = {"rows": [{"it's größe": 80.0, '"$(id)`<b>': 2}]}


def schema():
    return Schema("table", True, [Column(name, "number") for name in EXAMPLE["rows"][0]], [])


def docs():
    content = {"application/json": {"schema": {"example": EXAMPLE}}}
    answers = {"200": {"description": "ok"}, "422": {"description": "A cell is not a number."}}
    post = {"summary": "Rows", "requestBody": {"content": content}, "responses": answers}
    described = {"info": {"version": "abc"}, "paths": {"/predict": {"post": post}}}
    return render_docs("rents", described, schema())


def test_the_request_of_the_page_is_one_for_a_shell():
    shown = re.search(r"<pre>(.*?)</pre>", docs(), re.S)[1]
    *command, flag, body = shlex.split(html.unescape(re.sub(r"<[^>]*>", "", shown)))
    assert command[:2] == ["curl", "http://127.0.0.1:8080/predict"]
    assert flag == "-d"
    assert json.loads(body) == EXAMPLE
    assert "größe" in body


def test_both_pages_have_controls_for_dark_and_light():
    for page in (docs(), render_page("rents", "abc", schema())):
        assert '<meta name="color-scheme" content="light dark">' in page


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_shows_the_likeliest_classes_first_and_sums_up_the_others(tmp_path):
    shares = [0.01 * place for place in range(14)] + [0.09]
    found = {"predictions": [1234567.891], "probabilities": [shares]}
    found["classes"] = [f"class {place}" for place in range(15)]
    told = f"window.fetch = async () => ({{ok: true, json: async () => ({json.dumps(found)})}});"
    click = "onload = () => document.querySelector('button').click();"
    page = render_page("rents", "abc", Schema("table", True, [Column("size", "number")], []))
    path = tmp_path / "form.html"
    path.write_text(page.replace("required>", 'value="1">') + f"<script>{told}{click}</script>")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert '<p class="said">1,234,570</p>' in shown
    assert re.findall(r'<p class="class">class (\d+)</p>', shown)[:3] == ["13", "12", "11"]
    assert shown.count('class="bar"') == 10
    assert "5 other classes: 10.0 % together" in shown
