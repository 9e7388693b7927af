"""Pictures in all forms, against plain PIL and NumPy."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import manumatic as mm
from manumatic.parts import images as ours
from manumatic.parts.images import (
    are_picture_files,
    are_pictures,
    as_fitted,
    channels_first,
    read_whole,
    stacked,
    stacked_like,
)
from manumatic.parts.pictures import decoded
from manumatic.parts.rows import mean_and_spread, read_rows


def noise(*shape):
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def folder(root, count=6, labels=("cat", "dog", "öwl"), size=(9, 7), suffix=".png"):
    """Images in colours, one label after the other; returns pixels in the order of mm.Images."""
    found = []
    for number in range(count):
        place = Path(root, labels[number % len(labels)])
        place.mkdir(parents=True, exist_ok=True)
        pixels = noise(*size, 3) // (number + 1)
        Image.fromarray(pixels).save(place / f"{number:03d}{suffix}")
        found.append((place.name, number, pixels))
    return np.stack([pixels for *_, pixels in sorted(found, key=lambda one: one[:2])])


# --- what is a picture ---------------------------------------------------------------------------


def test_pictures_are_bytes_and_pil_images_in_lists_of_any_kind():
    grey, colour = Image.new("L", (5, 4)), noise(4, 5, 3)
    for X in ([grey, colour], (colour, grey), pd.Series([grey, grey]), [torch.tensor(colour)]):
        assert are_pictures(X)
    held = np.empty(2, dtype=object)
    held[:] = [grey, colour]
    assert are_pictures(held)


def test_sequences_tables_and_texts_are_no_pictures():
    floats = [np.zeros((4, 3)), np.zeros((5, 3))]
    for X in (floats, noise(6, 4, 4), [[1, 2], [3, 4]], ["a", "b"], [], None, [noise(5, 6, 7)]):
        assert not are_pictures(X)
    assert not are_pictures([noise(4, 5, 3), "a text"])


def test_files_are_pictures_where_they_are_there_and_texts_stay_texts(tmp_path):
    folder(tmp_path)
    paths = sorted(tmp_path.rglob("*.png"))
    assert are_picture_files(paths)
    assert are_picture_files(pd.Series(map(str, paths)))
    assert are_picture_files(np.array(list(map(str, paths))))
    texts = ["I saw it in cat.png", "and in dog.png"]
    assert not are_picture_files(texts)
    assert read_rows(texts).tolist() == texts
    with pytest.raises(mm.DataError, match=r"gone\.png: no such file"):
        read_rows([paths[0], "gone.png"])


# --- one array -----------------------------------------------------------------------------------


def test_sizes_become_the_median_and_pixels_are_those_of_pil():
    images = [Image.fromarray(noise(h, w, 3)) for h, w in ((10, 8), (20, 9), (11, 30))]
    found = stacked(images)
    assert found.shape == (3, 3, 11, 9)
    for one, image in zip(found, images, strict=True):
        wanted = np.asarray(image.resize((9, 11), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(one, wanted.transpose(2, 0, 1))
    # a script stacks these, and torch computes otherwise where channels lie last in memory
    assert decoded(images[0], (11, 9), "RGB").flags["C_CONTIGUOUS"]
    assert stacked(images, size=6).shape == (3, 3, 6, 6)
    assert stacked(images, size=(6, 5), mode="L").shape == (3, 1, 6, 5)


def test_arrays_channels_first_or_last_are_the_same_pictures():
    last = noise(9, 7, 3)
    first = last.transpose(2, 0, 1)
    np.testing.assert_array_equal(stacked([last, first, torch.tensor(first)]), [first] * 3)
    grey = noise(9, 7)
    np.testing.assert_array_equal(stacked([grey, grey[..., None], grey[None]]), [grey[None]] * 3)
    assert stacked([noise(1, 1, 3), Image.new("RGB", (1, 1))]).shape[2:] == (1, 1)


def test_grey_stays_grey_only_where_all_are():
    grey, colour = Image.fromarray(noise(5, 4)), Image.fromarray(noise(5, 4, 3))
    assert stacked([grey, grey]).shape[1] == 1
    np.testing.assert_array_equal(stacked([grey, colour])[0], [np.asarray(grey)] * 3)


def test_what_is_transparent_is_white():
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = 10, 20, 30, 255
    wanted = np.full((3, 2, 2), 255)
    wanted[:, 0, 0] = 10, 20, 30
    np.testing.assert_array_equal(stacked([Image.fromarray(clear)])[0], wanted)
    np.testing.assert_array_equal(stacked([clear])[0], wanted)
    np.testing.assert_array_equal(stacked([clear], mode="RGBA")[0], clear.transpose(2, 0, 1))
    assert stacked([Image.new("LA", (2, 2), (7, 0))]).tolist() == [[[[255, 255]] * 2]][0:1]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_become_eight(tmp_path, suffix):
    deep = (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4)
    Image.fromarray(deep).save(tmp_path / f"deep{suffix}")
    np.testing.assert_array_equal(stacked([tmp_path / f"deep{suffix}"])[0, 0], deep >> 8)


def test_palettes_cmyk_and_single_bits(tmp_path):
    colours = Image.fromarray(np.repeat(np.repeat(noise(2, 2, 3), 4, 0), 4, 1))
    colours.quantize(8).save(tmp_path / "palette.png")
    found = stacked([tmp_path / "palette.png"])[0]
    assert np.abs(found.transpose(1, 2, 0).astype(int) - np.asarray(colours)).max() < 8
    see = colours.quantize(8)
    see.save(tmp_path / "see.png", transparency=see.getpixel((0, 0)))
    assert stacked([tmp_path / "see.png"])[0, :, 0, 0].tolist() == [255] * 3
    colours.convert("CMYK").save(tmp_path / "print.jpg")
    with Image.open(tmp_path / "print.jpg") as printed:
        assert printed.mode == "CMYK"
        wanted = np.asarray(printed.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(stacked([tmp_path / "print.jpg"])[0], wanted)
    Image.new("1", (4, 3), 1).save(tmp_path / "bits.png")
    assert stacked([tmp_path / "bits.png"]).tolist() == [[[[255] * 4] * 3]]


def test_exif_says_which_way_is_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.repeat(np.repeat(noise(2, 3, 3), 8, 0), 8, 1))
    image.save(tmp_path / "lying.jpg", exif=exif, quality=100, subsampling=0)
    images = mm.Images([tmp_path / "lying.jpg"])
    assert images.shape == (1, 3, 24, 16)
    turned = np.rot90(np.asarray(image), -1).transpose(2, 0, 1)
    assert np.abs(images[0].astype(int) - turned).max() < 4


def test_channels_are_put_first_where_they_stand_last():
    for shape, wanted in {
        (2, 28, 28, 1): (2, 1, 28, 28),
        (2, 32, 32, 3): (2, 3, 32, 32),
        (2, 3, 32, 32): (2, 3, 32, 32),
        (2, 3, 32, 3): (2, 3, 32, 3),
        (2, 16, 5, 3): (2, 16, 5, 3),
        (2, 32, 32): (2, 32, 32),
    }.items():
        assert channels_first(np.zeros(shape)).shape == wanted
        assert read_rows(np.zeros(shape)).shape == wanted
    assert read_rows(np.zeros((2, 32, 32, 3)), allow_nan=False).shape == (2, 32, 32, 3)
    X = noise(2, 9, 8, 3)
    np.testing.assert_array_equal(read_rows(X), X.transpose(0, 3, 1, 2))
    assert channels_first(noise(2, 3, 32, 3)).shape == (2, 3, 32, 3)


def test_later_images_are_brought_to_those_of_the_fit():
    X = noise(4, 12, 10, 3)
    wanted = stacked(list(X), (6, 5), "L")
    np.testing.assert_array_equal(as_fitted(X, (1, 6, 5)), wanted)
    np.testing.assert_array_equal(as_fitted(X, (6, 5)), wanted[:, 0])
    np.testing.assert_array_equal(stacked_like(list(X), (1, 6, 5)), wanted)
    floats = np.zeros((2, 3, 9, 9), np.float32)
    assert as_fitted(floats, (3, 8, 8)) is floats  # no bytes; the net says what does not fit


def test_mean_and_spread_of_bytes_are_exact():
    X = noise(50, 9, 8)
    np.testing.assert_allclose(mean_and_spread(X), (X.mean(), X.std()), rtol=1e-12)
    assert mean_and_spread(np.full((2, 3, 3), 7, np.uint8)) == (7.0, 1.0)


@pytest.mark.parametrize("size", [0, (3, -1), (1, 2, 3), (2.5, 3)])
def test_sizes_that_are_none(size):
    with pytest.raises(mm.DataError, match="size must be pixels"):
        stacked([noise(4, 4)], size=size)
    with pytest.raises(mm.DataError, match=r'mode must be "L".*got \'HSV\''):
        stacked([noise(4, 4)], mode="HSV")


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_is_an_array_that_is_read_later(tmp_path):
    wanted = folder(tmp_path).transpose(0, 3, 1, 2)
    images = mm.Images(tmp_path)
    assert images.labels.tolist() == ["cat", "cat", "dog", "dog", "öwl", "öwl"]
    assert (images.shape, images.ndim, images.size) == ((6, 3, 9, 7), 4, 1134)
    assert images.dtype == np.uint8
    assert len(images) == len(images.paths) == 6
    np.testing.assert_array_equal(images[:], wanted)
    np.testing.assert_array_equal(np.asarray(images), wanted)
    np.testing.assert_array_equal(images[[4, 1, 4]], wanted[[4, 1, 4]])
    np.testing.assert_array_equal(images[-1], wanted[-1])
    np.testing.assert_array_equal(images[np.arange(6) > 3], wanted[4:])
    np.testing.assert_array_equal(images[1:3], wanted[1:3])
    np.testing.assert_array_equal(list(images)[2], wanted[2])
    with pytest.raises(IndexError):
        images[6]


def test_pictures_that_fit_are_decoded_once(tmp_path, monkeypatch):
    folder(tmp_path)
    opened = []
    decode = ours.pixels_of
    monkeypatch.setattr(ours, "pixels_of", lambda *told: opened.append(told[3]) or decode(*told))
    kept, bare = mm.Images(tmp_path), mm.Images(tmp_path, keep=100)
    for images, times in ((kept, 1), (bare, 2)):
        opened.clear()
        first = images[[0, 3]]
        np.testing.assert_array_equal(images[[3, 0]], first[::-1])
        assert sorted(opened) == sorted([images.paths[0], images.paths[3]] * times)
    again = pickle.loads(pickle.dumps(kept))  # noqa: S301 - our own, from the line before
    assert again._kept is None
    np.testing.assert_array_equal(again[:], bare[:])
    assert len(pickle.dumps(kept)) < 2000


def test_flat_folders_lists_and_deep_folders(tmp_path):
    flat, deep = tmp_path / "flat", tmp_path / "deep"
    (deep / "a" / "b").mkdir(parents=True)
    flat.mkdir()
    for place in (flat / "x.PNG", flat / ".hidden.png", deep / "a" / "b" / "y.png"):
        Image.new("L", (3, 2)).save(place, format="png")
    (flat / "Thumbs.db").write_text("")
    assert mm.Images(flat).labels is None
    assert mm.Images(deep).labels.tolist() == ["a"]
    assert "1 files as 2 × 3 pixels, 1 channel" in repr(mm.Images(flat))
    assert mm.Images([flat / "x.PNG", deep / "a" / "b" / "y.png"], size=5).shape == (2, 1, 5, 5)


def test_sizes_are_the_median_of_the_headers(tmp_path):
    for number, (height, width) in enumerate([(4, 9), (6, 9), (20, 9)]):
        Image.new("RGB", (width, height)).save(tmp_path / f"{number}.png")
    assert mm.Images(tmp_path).shape == (3, 3, 6, 9)
    small = mm.Images(tmp_path).like((1, 4, 4))
    assert small.shape == (3, 1, 4, 4)
    np.testing.assert_array_equal(small[:], mm.Images(tmp_path, size=4, mode="L")[:])


def test_files_that_are_no_images_are_named(tmp_path):
    folder(tmp_path)
    strange = tmp_path / "cat" / "strange.png"
    strange.write_text("a text")
    with pytest.raises(mm.DataError, match=r"strange\.png is no image that can be read: cannot id"):
        mm.Images(tmp_path)
    strange.rename(strange.with_suffix(".txt"))
    with pytest.raises(mm.DataError, match=r"strange\.txt is no image file; move it"):
        mm.Images(tmp_path)
    strange.with_suffix(".txt").unlink()
    Image.new("L", (3, 3)).save(tmp_path / "top.png")
    with pytest.raises(mm.DataError, match=r"top\.png lies beside the folders that are labels"):
        mm.Images(tmp_path)


def test_a_truncated_file_is_named_when_its_turn_comes(tmp_path):
    pixels = noise(40, 40, 3)
    for name in ("a", "b", "c"):
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg")
    half = tmp_path / "b.jpg"
    half.write_bytes(half.read_bytes()[:-800])
    images = mm.Images(tmp_path)
    assert images[[0, 2]].shape == (2, 3, 40, 40)
    with pytest.raises(mm.DataError, match=r"b\.jpg is no image that can be read: .*truncated"):
        images[[0, 1]]
    with pytest.raises(mm.DataError, match=r"b\.jpg is no image"):
        stacked([half])


def test_folders_without_images(tmp_path):
    for folder_of_none, message in (
        (tmp_path, "holds no image files"),
        (tmp_path / "gone", "is no folder"),
        ([], "without a path"),
    ):
        with pytest.raises(mm.DataError, match=message):
            mm.Images(folder_of_none)


def test_too_many_for_memory(tmp_path, monkeypatch):
    folder(tmp_path)
    monkeypatch.setattr(ours, "KEPT", 1000)
    images = mm.Images(tmp_path)
    with pytest.raises(mm.DataError, match="too many to hold at once"):
        read_whole(images)
    with pytest.raises(mm.DataError, match=r"mm\.Images\(paths\) reads them"):
        stacked(images.paths)


def test_floats_have_no_scale():
    with pytest.raises(mm.DataError, match=r"picture 1 of X .*floats without a scale"):
        stacked([Image.new("L", (3, 3)), Image.new("F", (3, 3))])


def test_without_pillow(tmp_path, monkeypatch):
    import sys

    folder(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(mm.MissingExtra, match=r"manumatic\[images\]"):
        mm.Images(tmp_path)
    assert stacked([noise(4, 4, 3)]).shape == (1, 3, 4, 4)  # bytes of one size need no PIL
