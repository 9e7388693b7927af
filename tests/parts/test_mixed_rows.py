"""Columns of images and the layout of a row, against Pillow and NumPy."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import StandardScaler

from manumatic.errors import ComponentError, DataError
from manumatic.parts.columns import Table, table_preprocess
from manumatic.parts.kinds import column_kinds
from manumatic.parts.mixed import (
    Layout,
    Pictures,
    Pixels,
    as_uri,
    is_picture_column,
    layout_of,
    opened,
)
from manumatic.parts.tokens import Tokenizer


def drawn(n=6, height=10, width=12):
    pixels = np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8)
    return pixels, [Image.fromarray(one) for one in pixels]


@pytest.fixture
def files(tmp_path):
    for number, image in enumerate(drawn()[1]):
        image.save(tmp_path / f"{number}.png")
    return [str(tmp_path / f"{number}.png") for number in range(6)]


def test_which_columns_hold_images(files):
    pixels, images = drawn()
    uris = [as_uri(image) for image in images]
    for cells in (images, list(pixels), files, uris):
        for gone in (None, float("nan")):
            assert is_picture_column(pd.Series([gone, *cells], dtype=object))
    assert is_picture_column(pd.Series(["", *files]))
    assert not any(
        is_picture_column(pd.Series(cells))
        for cells in (
            [1.0, 2.0],
            ["gone.png", "lost.png"],
            ["a", *files],
            [None, None],
            pd.to_datetime(["2024-01-01"]),
        )
    )
    absent = pd.DataFrame({"file": [f"{number % 3}.png" for number in range(9)]})
    assert column_kinds(absent) == [("categories", "")]
    assert column_kinds(pd.DataFrame({"file": files})) == [("images", "")]


@pytest.mark.parametrize("form", ["images", "arrays", "files", "uris"])
def test_an_image_says_the_same_in_every_form(form, files):
    pixels, images = drawn()
    uris = [as_uri(image) for image in images]
    cells = {"images": images, "arrays": list(pixels), "files": files, "uris": uris}[form]
    found = Pictures().fit_transform(pd.DataFrame({"photo": pd.Series([*cells, None])}))
    plain = np.moveaxis(pixels, -1, 1).astype(np.float64)
    mean, spread = (each((0, 2, 3), keepdims=True) for each in (plain.mean, plain.std))
    expected = ((plain - mean) / spread).reshape(6, -1)
    np.testing.assert_allclose(found[:6, 1:], expected, atol=1e-5)
    np.testing.assert_array_equal(found[:, 0], [1] * 6 + [0])
    assert not found[6].any()
    assert found.dtype == np.float32


def test_images_of_other_sizes_are_brought_to_one():
    _, images = drawn()
    pictures = Pictures(largest=6).fit(pd.Series(images))
    assert pictures.shape_ == (3, 5, 6)
    small = np.asarray(images[0].resize((6, 5), Image.Resampling.BILINEAR), np.float32)
    expected = (np.moveaxis(small, -1, 0) - pictures.mean_) / pictures.scale_
    np.testing.assert_allclose(pictures.transform([images[0]])[0, 1:], expected.ravel(), atol=1e-5)
    assert pictures.transform([images[0].resize((40, 30)).convert("L"), None]).shape == (2, 91)
    assert Pictures().fit([image.convert("L") for image in images]).shape_ == (1, 10, 12)
    assert len(pictures.get_feature_names_out()) == 91
    stored = pictures.read(pd.Series([*images, None]))
    np.testing.assert_array_equal(
        Pixels().fit(stored).transform(stored), pictures.transform([*images, None])
    )


def test_a_missing_file_is_named():
    _, images = drawn()
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        Pictures().fit(pd.Series(images)).transform(["gone.png"])


def test_an_image_survives_text():
    pixels, images = drawn()
    for one in (pixels[0], images[0], as_uri(images[0])):
        np.testing.assert_array_equal(np.asarray(opened(as_uri(one))), pixels[0])
    grey = images[0].convert("L")
    np.testing.assert_array_equal(np.asarray(opened(as_uri(grey))), np.asarray(grey))
    assert as_uri(None) is None


COLOURS = ["red", "blue", "old", "new", "green", "fine"]


def frame():
    _, images = drawn()
    texts = [f"a {colour} lamp from home" for colour in COLOURS]
    return pd.DataFrame({"photo": images, "size": [1.0, 2, 3, 4, 5, 6], "text": texts})


def test_the_layout_of_a_row():
    table = table_preprocess(frame(), classification=None, seed=0, mixed=True)
    found = table.fit_transform(frame())
    assert layout_of(table) == Layout(1, ((12, 5),), ((3, 10, 12),))
    assert found.shape == (6, 1 + 5 + 1 + 360) == (6, len(table.get_feature_names_out()))
    assert layout_of(ColumnTransformer([("size", StandardScaler(), ["size"])]).fit(frame())) is None
    assert layout_of(None) is None
    turned = ColumnTransformer([("t", Tokenizer(), ["text"]), ("s", StandardScaler(), ["size"])])
    with pytest.raises(ComponentError, match=r"table first, then texts.*gives texts, table"):
        layout_of(turned.fit(frame()))


def test_what_reads_tables_gets_directions_of_the_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 20, 20, 3), dtype=np.uint8)
    table = Table().fit(pd.DataFrame({"photo": list(pixels), "size": range(40)}))
    assert any("as up to 30 directions: photo" in row.did for row in table.logbook_)
    assert table.transform(pd.DataFrame({"photo": [pixels[0]], "size": [3]})).shape == (1, 31)
