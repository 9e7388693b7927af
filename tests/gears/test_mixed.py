"""Numbers, labels, texts and images in one DataFrame: both gears, and all that stands around."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from agreement import gears_agree, run_script, same
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import manumatic as mm
from manumatic.datasets import load_adverts
from manumatic.errors import ComponentError, ConvertError, DataError

ADVERTS = load_adverts().frame.iloc[:80]
X, Y = ADVERTS.drop(columns="price"), np.log(ADVERTS["price"])
SMALL = mm.Model("mixed", width=6, hidden=8, members=2)


def net(model=SMALL, kind=mm.Regressor, **settings):
    return kind(model, **({"random_state": 0, "loop": mm.Loop(epochs=2)} | settings))


def test_auto_takes_it_and_says_which_encoder_reads_which_column():
    fitted = net("auto", loop=mm.Loop(epochs=1)).fit(X, Y)
    assert type(fitted.model_).__name__ == "MixedNet"
    told = [(row.did, row.why) for row in fitted.logbook_]
    assert any("1 column of images" in why for _, why in told)
    for did, why in (("words, in order: text", "as a text"), ("pixels: photo", "as an image")):
        assert any(did in one and why in reason for one, reason in told)
    assert fitted.predict(X).shape == (80,)


@pytest.mark.parametrize("loop", [mm.Loop(epochs=2), mm.Loop(epochs=3, patience=2)])
def test_the_gears_agree(loop, tmp_path):
    text = gears_agree(net(loop=loop), X, Y, tmp_path)
    assert "manumatic" not in text.partition("\n")[2]
    assert "PIL" not in text


def test_a_table_net_reads_directions_and_ejects_too(tmp_path):
    fitted = net("mlp").fit(X, Y)
    net("mlp").eject(tmp_path / "train.py", X, Y)
    assert same(fitted.model_, run_script(tmp_path / "train.py"))


def test_stopping_and_going_on_equals_not_stopping(tmp_path):
    whole = net().manual(X, Y).run()
    half = net().manual(X, Y)
    half.step()
    half.save(tmp_path / "run.pt")
    assert same(whole.model, net().manual(X, Y).load(tmp_path / "run.pt").run().model)


@pytest.fixture(scope="module")
def fitted():
    return net().fit(X, Y)


def test_rows_to_predict_for(fitted):
    found = fitted.predict(X)
    some = X.iloc[[5, 3, 0]]
    np.testing.assert_allclose(fitted.predict(some), found[[5, 3, 0]], atol=1e-5)
    strange = some.assign(
        text=["words never seen", None, ""],
        city=["Ulm", None, "Bonn"],
        photo=[None, np.zeros((9, 30, 3), np.uint8), np.zeros((50, 40), np.uint8)],
    )
    assert np.isfinite(fitted.predict(strange)).all()
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X.drop(columns="photo"))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(X[X.columns[::-1]])
    with pytest.raises(DataError, match=r"lost\.png: no such file"):
        fitted.predict(some.assign(photo="lost.png"))


def test_files_arrays_and_images_are_the_same(tmp_path):
    from PIL import Image

    files, images = [], []
    for number, pixels in enumerate(X["photo"]):
        image = None if pixels is None else Image.fromarray(pixels)
        images.append(image)
        files.append(None if image is None else str(tmp_path / f"{number}.png"))
        if image is not None:
            image.save(files[-1])
    one = net().fit(X, Y)
    for photo in (files, images):
        assert same(one.model_, net().fit(X.assign(photo=photo), Y).model_)


def test_classes_and_a_frame_of_images_alone():
    y = np.where(Y.rank() > 40, "dear", "cheap")
    classifier = net(kind=mm.Classifier).fit(X, y)
    assert set(classifier.predict(X)) <= {"dear", "cheap"}
    alone = net("auto", kind=mm.Classifier, loop=mm.Loop(epochs=1)).fit(X[["photo"]], y)
    assert type(alone.model_).__name__ == "MixedNet"
    assert alone.predict_proba(X[["photo"]]).shape == (80, 2)


def test_texts_beside_a_table_where_it_is_asked_for():
    words = net().fit(X[["height", "text"]], Y)
    assert len(words.model_.texts) == 1
    topics = net("auto", loop=mm.Loop(epochs=1)).fit(X[["height", "text"]], Y)
    assert type(topics.model_).__name__ == "TableNet"


class Own(torch.nn.Module):
    """A user's network, which asks for the kinds by name."""

    def __init__(self, table, texts, images, out_features):
        super().__init__()
        self.table, self.shapes = table, (texts, images)
        self.last = torch.nn.Linear(table, out_features)

    def forward(self, x):
        return self.last(x[:, : self.table])


def test_a_network_of_ones_own_is_told_the_layout():
    own = net(Own).fit(X, Y)
    assert own.model_.shapes == (((44, 15),), ((3, 24, 24),))
    with pytest.raises(ComponentError, match=r"'Own' reads a DataFrame with columns of texts or"):
        net(Own).fit(X[["height"]], Y)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (X[["height", "age"]], "X is a DataFrame without such a column"),
        (np.zeros((80, 2)), "X is a table"),
    ],
)
def test_one_clear_error(rows, said):
    with pytest.raises(ComponentError, match=rf"model='mixed' reads a DataFrame .*{said}"):
        net("mixed").fit(rows, Y)


def test_pipelines_searches_and_folds():
    line = make_pipeline(FunctionTransformer(), net(loop=mm.Loop(epochs=1))).fit(X, Y)
    assert line.predict(X).shape == (80,)
    search = GridSearchCV(net(loop=mm.Loop(epochs=1)), {"model__width": [4, 6]}, cv=2).fit(X, Y)
    assert search.best_estimator_.model_.norms[0].normalized_shape[0] in (4, 6)
    assert cross_val_score(net(loop=mm.Loop(epochs=1)), X, Y, cv=2).shape == (2,)


def test_many_fits_as_one_are_each_alone():
    from manumatic.model_selection import cross_validate

    found = cross_validate(net(), X, Y, cv=2, return_estimator=True, return_indices=True)
    for one, rows in zip(found["estimator"], found["indices"]["train"], strict=True):
        alone = net().fit(X.iloc[rows], Y.iloc[rows])
        torch.testing.assert_close(dict(one.model_.state_dict()), dict(alone.model_.state_dict()))


def test_pickles(fitted):
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301 (our own bytes)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_it_comes_back_from_a_bundle(fitted, tmp_path):
    saved = mm.save(fitted, tmp_path / "adverts.mm", X)
    assert saved.tiers == [2]
    np.testing.assert_array_equal(mm.load(tmp_path / "adverts.mm").predict(X), fitted.predict(X))


def test_the_command_line_finds_images_beside_the_table(tmp_path, monkeypatch):
    from PIL import Image

    from manumatic.cli.main import main

    folder = tmp_path / "lamps"
    folder.mkdir()
    names = []
    for number, pixels in enumerate(X["photo"]):
        names.append(None if pixels is None else f"{number}.png")
        if pixels is not None:
            Image.fromarray(pixels).save(folder / names[-1])
    X.assign(photo=names, price=Y).to_csv(folder / "lamps.csv", index=False)
    monkeypatch.chdir(tmp_path)
    given = ["lamps/lamps.csv", "--target", "price", "--epochs", "1", "--quiet"]
    assert main(["fit", *given, "--out", "lamps.mm"]) == 0
    assert main(["predict", "lamps.mm", "lamps/lamps.csv", "--out", "prices.csv"]) == 0
    assert np.isfinite(pd.read_csv("prices.csv")["prediction"]).sum() == 80
    assert type(mm.load("lamps.mm").model_).__name__ == "MixedNet"


def test_a_bundle_without_rows_and_no_graph(fitted, tmp_path):
    mm.save(fitted, tmp_path / "adverts.mm", X, keep_rows=False)
    assert b"base64,iVBOR" not in (tmp_path / "adverts.mm").read_bytes()
    with pytest.raises(ConvertError, match=r"rows are texts.*net\.model_ is a module already"):
        mm.export(fitted, tmp_path / "m.onnx")
    alone = net().fit(X[["age", "photo"]], Y)
    with pytest.raises(ConvertError, match=r"a column holds images.*net\.model_ is a module"):
        mm.to_torch(alone)


@pytest.mark.slow
def test_each_kind_of_column_counts():
    adverts = load_adverts()
    y, train = np.log(adverts.target), np.arange(1500) < 700
    errors = {}
    for left_out in ([], ["height", "age"], ["city"], ["text"], ["photo"]):
        rows = adverts.data.drop(columns=left_out)
        one = net("mixed", loop=mm.Loop(epochs=30)).fit(rows[train], y[train])
        errors[tuple(left_out)] = np.std(one.predict(rows[~train]) - y[~train])
        assert not one.findings_
    whole = errors.pop(())
    assert whole < 0.2
    assert min(errors.values()) > 1.4 * whole


def test_a_contest_takes_such_a_table():
    found = mm.compare(X, Y, models=["RidgeCV", "HistGradientBoosting"], folds=2)
    assert (found.frame["error"] == "").all()
    assert "1 image" in found.facts()["data"]["summary"]
    assert any("auto-net reads pixels and words" in note for note in found.contest.notes)
    assert {"RidgeCV", "HistGradientBoosting"} <= set(found.frame["name"])
