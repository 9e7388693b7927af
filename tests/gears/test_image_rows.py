"""Images in all forms through fit, predict, eject, bundles, compare and the command line."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import manumatic as mm
from manumatic.cli.main import main
from manumatic.compare.problem import open_problem
from manumatic.parts import mapped
from manumatic.parts.rows import as_images


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """36 images of three colours, 12 × 10 pixels, a folder for each colour."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(36):
        label = ("blue", "grün", "red")[number % 3]
        pixels = rng.integers(0, 120, (12, 10, 3), dtype=np.uint8)
        pixels[..., 2 - number % 3] += 130
        (root / label).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / label / f"{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def net(photos):
    return classifier().fit(mm.Images(photos))


def classifier(batch_size=12, **loop):
    loop = mm.Loop(**({"epochs": 3, "patience": 3} | loop))
    data = mm.Data(batch_size=batch_size, augment=None)
    return mm.Classifier("cnn", data=data, loop=loop, random_state=0)


def same(one, other):
    weights = one.state_dict().values(), other.state_dict().values()
    return all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


# --- fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 2**30])
def test_a_folder_and_an_array_train_to_the_same_weights(photos, net, keep):
    images = mm.Images(photos, keep=keep)
    again = classifier().fit(np.asarray(images), images.labels)
    assert same(net.model_, again.model_)
    assert same(net.model_, classifier().fit(images, images.labels).model_)
    assert net.history_ == again.history_
    assert net.classes_.tolist() == ["blue", "grün", "red"]
    assert "Images, 36 files as 12 × 10 pixels, 3 channels, 3 labels" in str(net.logbook_)


def test_what_automatic_decides_is_the_same_for_both(photos):
    images = mm.Images(photos)
    one = mm.Classifier(random_state=0, loop=mm.Loop(1)).manual(images)
    two = mm.Classifier(random_state=0, loop=mm.Loop(1)).manual(np.asarray(images), images.labels)
    assert one.data.batch_size == two.data.batch_size
    told = [{row.did for row in training.facts.logbook} for training in (one, two)]
    assert told[1] <= told[0]
    auto = [
        mm.Classifier("cnn", random_state=0).manual(*rows).loop.get_params()
        for rows in ((images,), (np.asarray(images), images.labels))
    ]
    assert auto[0] == auto[1]


def test_the_same_pixels_in_any_form(photos, net):
    images = mm.Images(photos)
    pil = [Image.open(path) for path in images.paths]
    last = np.asarray(images).transpose(0, 2, 3, 1)
    forms = [pil, images.paths, list(map(Path, images.paths)), last, list(last), pd.Series(pil)]
    for X in forms:
        fitted = classifier().fit(X, images.labels)
        assert same(net.model_, fitted.model_)
        np.testing.assert_array_equal(net.predict_proba(X), net.predict_proba(images))
    told = str(classifier(epochs=1).fit(last, images.labels).logbook_)
    assert "images (3, 12, 10), channels first" in told
    told = str(classifier(epochs=1).fit(pil, images.labels).logbook_)
    assert "36 pictures as 12 × 10 pixels, 3 channel(s)" in told


def test_pixels_are_scaled_channel_by_channel(photos, net):
    images = mm.Images(photos)
    X = net.manual(images).data
    pixels = np.asarray(images)[X.index].astype(np.float64)
    told = net.preprocess_.kw_args
    np.testing.assert_allclose(told["mean"], pixels.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(told["scale"], pixels.std(axis=(0, 2, 3)), rtol=1e-12)
    grey = np.asarray(mm.Images(photos, mode="L"))
    for X in (grey, grey[:, 0], grey.astype(float)):
        fitted = mm.Classifier("cnn", loop=mm.Loop(1), random_state=0).fit(X, images.labels)
        wanted = as_images(grey, float(np.mean(grey)), float(np.std(grey)))
        np.testing.assert_array_equal(fitted.preprocess_.transform(X), wanted)


def test_targets_of_ones_own_take_the_place_of_labels(photos):
    images = mm.Images(photos)
    brightness = np.asarray(images).mean(axis=(1, 2, 3))
    found = mm.Regressor("cnn", loop=mm.Loop(2), random_state=0).fit(images, brightness)
    assert found.predict(images).shape == (36,)
    with pytest.raises(mm.DataError, match="X has 36 rows and y 35"):
        classifier().fit(images, images.labels[1:])
    with pytest.raises(mm.DataError, match="no folders that are labels"):
        classifier().fit(mm.Images(images.paths))
    with pytest.raises(mm.ComponentError, match="sample_weight cannot be used"):
        classifier().fit(images, sample_weight=np.ones(36))
    with pytest.raises(mm.DataError, match="Autoencoder takes rows in memory"):
        mm.Autoencoder(loop=mm.Loop(1)).fit(images)


def test_one_class_is_an_error(photos):
    with pytest.raises(ValueError, match="class"):
        classifier().fit(mm.Images(mm.Images(photos).paths[:9]), ["blue"] * 9)


def test_validation_images_of_ones_own(photos):
    images = mm.Images(photos)
    lazy, inside = images, (np.asarray(images), images.labels)
    found = []
    for own in (lazy, inside, (images.paths, images.labels)):
        data = mm.Data(batch_size=12, validation=own, augment=None)
        loop = mm.Loop(2, patience=2)
        fitted = mm.Classifier("cnn", data=data, loop=loop, random_state=0).fit(images)
        found.append(fitted.history_)
    assert found[0] == found[1] == found[2]
    data = mm.Data(validation=mm.Images(images.paths))
    fitted = mm.Classifier("cnn", data=data, loop=mm.Loop(2, patience=2))
    with pytest.raises(mm.DataError, match="no folders that are labels"):
        fitted.fit(images)


def test_a_broken_file_is_named(photos, tmp_path):
    for path in mm.Images(photos).paths:
        copy = tmp_path / Path(path).relative_to(photos)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(Path(path).read_bytes())
    copy.write_bytes(copy.read_bytes()[:200])
    with pytest.raises(mm.DataError, match=rf"{copy.name} is no image that can be read"):
        classifier().fit(mm.Images(tmp_path))


# --- predict -------------------------------------------------------------------------------------


def test_other_sizes_and_modes_are_brought_to_those_of_the_fit(photos, net, tmp_path):
    images = mm.Images(photos)
    large = [Image.open(path).resize((25, 31)) for path in images.paths]
    wanted = net.predict_proba(
        np.stack([np.asarray(image.resize((10, 12), Image.Resampling.BILINEAR)) for image in large])
    )
    for number, image in enumerate(large):
        image.save(tmp_path / f"{number:02d}.png")
    paths = sorted(tmp_path.glob("*.png"))
    for X in (large, paths, mm.Images(tmp_path), np.stack([np.asarray(image) for image in large])):
        np.testing.assert_allclose(net.predict_proba(X), wanted, atol=1e-6)
    assert net.predict([large[0].convert("L"), Image.open(images.paths[-1])]).shape == (2,)
    with pytest.raises(mm.DataError, match=r"rows of the shape \(3, 9, 9\)"):
        net.predict(np.zeros((2, 3, 9, 9)))
    assert net.score(images, images.labels) > 0.5


def test_grey_stacks_and_images_that_are_taken_as_they_are(photos):
    images = mm.Images(photos, mode="L")
    stack = np.asarray(images)[:, 0]

    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.line = torch.nn.LazyLinear(3)

        def forward(self, X):
            return self.line(X.flatten(1) / 255)

    data = mm.Data(preprocess=None)
    fitted = mm.Classifier(Flat, data=data, loop=mm.Loop(1), random_state=0)
    fitted.fit(stack, images.labels)
    wanted = fitted.predict_proba(stack)
    pil = [Image.open(path) for path in images.paths]
    for X in (pil, images, images.paths):
        np.testing.assert_array_equal(fitted.predict_proba(X), wanted)


def test_going_on_with_images_of_another_size(photos, net):
    images, small = mm.Images(photos), mm.Images(photos, size=5)
    going = classifier(epochs=1).partial_fit(images)
    going.partial_fit(small)
    assert going.predict(small).tolist() == going.predict(images.like((3, 5, 5))).tolist()
    assert going._preparation.pixels == (3, 12, 10)


def test_folds_of_images(photos):
    from sklearn.model_selection import cross_val_score

    images = mm.Images(photos)
    pil = [Image.open(path) for path in images.paths]
    scores = [cross_val_score(classifier(), X, images.labels, cv=2) for X in (pil, images[:])]
    np.testing.assert_array_equal(*scores)


# --- out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", [{"patience": None}, {}])
def test_an_ejected_script_reads_the_files(photos, tmp_path, loop):
    images = mm.Images(photos, size=(8, 9))
    net = classifier(**loop)
    net.fit(images).eject(tmp_path / "train.py", images)
    assert "manumatic" not in (tmp_path / "train.py").read_text().partition("\n")[2]
    script = runpy.run_path(str(tmp_path / "train.py"))
    assert same(net.model_, script["model"])
    training = net.manual(images)
    training.eject(tmp_path / "again.py")
    assert same(training.run().model, runpy.run_path(str(tmp_path / "again.py"))["model"])


def test_scripts_that_would_not_be_true(photos, tmp_path, monkeypatch):
    images = mm.Images(photos)
    numbers = np.arange(36.0)
    training = mm.Regressor("cnn", loop=mm.Loop(1), random_state=0)
    monkeypatch.setattr(mapped, "PIXELS", 3600)
    with pytest.raises(mm.EjectError, match="StandardScaler was fitted on some of the pictures"):
        training.manual(images, numbers).eject(tmp_path / "train.py")
    assert "prepared as 9 of the rows say" in str(training.manual(images, numbers).facts.logbook)
    some = classifier(patience=None).fit(images)
    some.eject(tmp_path / "some.py", images)
    assert same(some.model_, runpy.run_path(str(tmp_path / "some.py"))["model"])
    data = mm.Data(validation=images)
    own = mm.Classifier("cnn", data=data, loop=mm.Loop(1, patience=1), random_state=0)
    with pytest.raises(mm.EjectError, match="validation rows of your own"):
        own.manual(images).eject(tmp_path / "train.py")


def test_a_bundle_reads_images_in_any_form(photos, net, tmp_path):
    images = mm.Images(photos)
    pil = [Image.open(path) for path in images.paths]
    wanted = net.predict_proba(images)
    for number, X in enumerate((images, pil)):
        mm.save(net, tmp_path / f"{number}.mm", X)
        again = mm.load(tmp_path / f"{number}.mm")
        for rows in (pil, images.paths, images, images[:]):
            np.testing.assert_array_equal(again.predict_proba(rows), wanted)
    larger = [image.resize((30, 40)) for image in pil]
    np.testing.assert_array_equal(again.predict_proba(larger), net.predict_proba(larger))


# --- compare and the command line ----------------------------------------------------------------


def test_a_contest_takes_images_in_any_form(photos):
    images = mm.Images(photos)
    wanted = open_problem(images[:], images.labels)
    for X, y in ((images, None), (images.paths, images.labels), (list(images[:]), images.labels)):
        found = open_problem(X, y)
        np.testing.assert_array_equal(found.X, wanted.X)
        assert found.labels.tolist() == images.labels.tolist()
        assert "36 rows, images 3 x 12 x 10" in found.describe()


def test_fit_and_predict_on_the_command_line(photos, tmp_path, capsys):
    out = tmp_path / "net.mm"
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in mm.Images(photos).paths:
        (flat / f"{Path(path).parent.name}-{Path(path).name}").write_bytes(Path(path).read_bytes())
    arguments = ["fit", str(photos), "--out", str(out), "--model", "cnn", "--epochs", "5"]
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(out)
    assert "36 images; 3 classes (blue, grün, red): classification" in told.err
    assert main(["predict", str(out), str(flat)]) == 0
    answers = pd.read_csv(tmp_path / _written(tmp_path, capsys))
    assert list(answers) == ["file", "prediction"]
    assert answers["file"].tolist() == mm.Images(flat).paths
    assert answers["prediction"].tolist() == mm.load(out).predict(mm.Images(flat)).tolist()
    one = str(flat / "red-02.png")
    assert main(["predict", str(out), one, "--json"]) == 0
    assert capsys.readouterr().out.startswith(f'{{"file": ["{one}"], "prediction": ["')


def _written(folder, capsys):
    (folder / "answers.csv").write_text(capsys.readouterr().out)
    return "answers.csv"


def test_folders_that_cannot_be_used_are_one_sentence(photos, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "note.txt").write_text("a note")
    out = str(tmp_path / "net.mm")
    for folder, message in (("empty", "empty folder"), ("text", "note.txt")):
        assert main(["fit", str(tmp_path / folder), "--out", out]) in (2, 3)
        assert message in capsys.readouterr().err
        assert main(["compare", str(tmp_path / folder)]) == 2
        assert "is a directory without images" in capsys.readouterr().err
    assert main(["fit", str(photos / "red"), "--out", out]) == 2
    assert "have no labels: sort them into a folder for each" in capsys.readouterr().err
