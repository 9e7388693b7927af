"""mm.FineTune: what learns, what rests, and what can be done with it, against plain PyTorch."""

import copy
import importlib
import runpy
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import manumatic as mm
from manumatic.errors import ComponentError
from manumatic.model_selection.members import why_alone


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.width = width
        self.line, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)

    def forward(self, x):
        return x + self.norm(self.line(x)).relu()


class Body(nn.Module):
    """A trained network of another's: it knows a hundred things."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.width = width
        self.stem = nn.Linear(4, width)
        self.layers = nn.Sequential(Block(width), Block(width))
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(width, 100)

    def forward(self, x):
        return self.fc(self.dropout(self.layers(self.stem(x))))


def trained(width: int = 8) -> nn.Module:
    """As if read from a file."""
    torch.manual_seed(11)
    return Body(width)


@pytest.fixture
def body():
    with torch.random.fork_rng([]):
        return trained().eval()


def rows(n=60, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def net(model, epochs=4, **parts):
    parts = {"optimizer": mm.Optimizer("adamw", lr=0.01)} | parts
    return mm.Classifier(
        model,
        data=mm.Data(batch_size=16, preprocess=None),
        loop=mm.Loop(epochs=epochs),
        random_state=3,
        **parts,
    )


def same(one, two):
    one, two = one.state_dict(), two.state_dict()
    return {name for name in one if name in two and torch.equal(one[name], two[name])}


def run(path):
    """What a script has made, its rows read and their file closed."""
    made = runpy.run_path(str(path))
    made["stored"].close()
    return made


def told(fitted):
    return "\n".join(f"{row.did}; {row.why}" for row in fitted.logbook_)


# --- against plain PyTorch ------------------------------------------------------------------------


def by_hand(body, thaw, epochs=4):
    """The loop as anybody writes it."""
    X, y = rows()
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    model = copy.deepcopy(body).requires_grad_(False)
    torch.manual_seed(3)
    model.fc = nn.Linear(8, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    for epoch in range(epochs):
        model.train()
        model.stem.eval()
        if epoch < thaw:
            model.layers.eval()
        else:
            model.layers.requires_grad_(True)
        order = torch.randperm(len(X), generator=torch.Generator().manual_seed(3_000_009 + epoch))
        for some in order.split(16):
            loss = nn.functional.cross_entropy(model(X[some]), y[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


@pytest.mark.parametrize("thaw", [9, 2, 0])
def test_a_fit_is_the_loop_that_one_writes_by_hand(body, thaw):
    plan = {thaw: "layers.*"} if thaw < 9 else None
    fitted = net(mm.FineTune(body, thaw=plan)).fit(*rows())
    expected = by_hand(body, thaw)
    assert same(fitted.model_.body, expected) == set(expected.state_dict())


def test_what_is_frozen_is_equal_and_the_users_network_too(body):
    before = copy.deepcopy(body)
    fitted = net(mm.FineTune(body)).fit(*rows())
    assert same(body, before) == set(before.state_dict())
    assert not body.training
    assert body.stem.weight.requires_grad
    frozen = {name for name in before.state_dict() if not name.startswith("fc.")}
    assert same(fitted.model_.body, before) == frozen
    assert "27 of 243 weights learn" in told(fitted)
    assert fitted.model_.body is not body
    assert fitted.predict_proba(rows()[0]).shape == (60, 3)


def test_a_thaw_lets_layers_learn_and_not_before(body):
    training = net(mm.FineTune(body, thaw={2: ["layers.1.*"]})).manual(*rows())
    start = copy.deepcopy(training.model)
    training.run(epochs=2)
    assert {"body.layers.1.norm.running_mean", "body.layers.1.line.weight"} <= same(
        training.model, start
    )
    training.run()
    left = same(training.model, start)
    assert not any(name.startswith("body.layers.1.") for name in left)
    assert {"body.layers.0.norm.running_mean", "body.stem.weight"} <= left


# --- the head -------------------------------------------------------------------------------------


def test_the_head_is_the_layer_that_gives_the_answer():
    inside = nn.Sequential(nn.Linear(4, 6), nn.Sequential(nn.ReLU(), nn.Linear(6, 9)))
    fitted = net(mm.FineTune(inside), epochs=1).fit(*rows())
    assert fitted.model_.body[1][1].out_features == 3
    assert "a fresh head in place of 1.1" in told(fitted)


def test_a_network_of_one_layer_is_replaced():
    fitted = net(mm.FineTune(nn.Linear(4, 9)), epochs=1).fit(*rows())
    assert fitted.model_.body.out_features == 3
    assert fitted.model_.fresh == ["body.*"]


def test_a_network_that_ends_with_features_gets_a_head_behind_it():
    features = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
    fitted = net(mm.FineTune(features), epochs=1).fit(*rows())
    assert fitted.model_.head.in_features == 6
    assert fitted.model_.head.out_features == 3
    assert "behind the network" in told(fitted)


def test_a_head_of_ones_own(body):
    module = nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3))
    before = copy.deepcopy(module)
    fitted = net(mm.FineTune(body, head=module), epochs=1).fit(*rows())
    assert isinstance(fitted.model_.body.fc, nn.Sequential)
    assert same(module, before) == set(before.state_dict())

    def narrow(in_features, out_features):
        return nn.Linear(in_features, out_features, bias=False)

    fitted = net(mm.FineTune(body, head=narrow), epochs=1).fit(*rows())
    assert fitted.model_.body.fc.bias is None


def test_a_name_says_so_where_something_comes_after_it():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.score = nn.Linear(4, 7)

        def forward(self, x):
            return 2 * self.score(x)

    assert net(mm.FineTune(Last()), epochs=1).fit(*rows()).model_.body.score.out_features == 3


# --- rates by layer -------------------------------------------------------------------------------


def test_automatic_takes_a_small_rate_for_what_is_trained(body):
    fitted = net(mm.FineTune(body, thaw={1: "*"}), optimizer="auto").fit(*rows())
    assert "lr 0.0005 for the trained layers, 0.002 for the fresh ones" in told(fitted)
    only = net(mm.FineTune(body), optimizer="auto").fit(*rows())
    assert "lr 0.002 for the fresh weights" in told(only)
    asked = mm.Optimizer("auto", lr=1e-3)
    training = net(mm.FineTune(body, freeze=None), optimizer=asked).manual(*rows())
    rates = [group["lr"] for group in training.optimizer.param_groups]
    assert rates == pytest.approx([0.004, 0.001])


def test_rates_fall_from_layer_to_layer(body):
    recipe = mm.Optimizer("sgd", lr=0.1, layer_decay=0.5)
    training = net(mm.FineTune(body, freeze=None), optimizer=recipe).manual(*rows())
    names = {id(weight): name for name, weight in training.model.named_parameters()}
    found = {
        names[id(weight)]: group["lr"]
        for group in training.optimizer.param_groups
        for weight in group["params"]
    }
    assert len(found) == len(names)
    assert found["body.fc.bias"] == 0.1
    assert found["body.layers.1.norm.weight"] == found["body.layers.1.line.weight"] == 0.05
    assert found["body.layers.0.line.weight"] == 0.025
    assert found["body.stem.weight"] == 0.0125


def test_groups_of_the_user_come_before_the_decay():
    recipe = mm.Optimizer("sgd", layer_decay=0.5, groups=[("4.*", {"lr": 1.0})])
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3))
    training = net(model, optimizer=recipe).manual(*rows())
    assert [group["lr"] for group in training.optimizer.param_groups] == [1.0, 1e-3, 5e-4]


@pytest.mark.parametrize("decay", [0, 1.5, "half", True])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(ComponentError, match="layer_decay must be above 0"):
        net("linear", optimizer=mm.Optimizer("sgd", layer_decay=decay)).fit(*rows())


class Bold(torch.optim.SGD):
    """It has one rate, and takes none."""

    def __init__(self, params):
        super().__init__(params, lr=0.1)


def test_a_decay_needs_a_rate():
    recipe = mm.Optimizer(Bold, layer_decay=0.5)
    with pytest.raises(ComponentError, match="needs a learning rate"):
        net("linear", optimizer=recipe).fit(*rows())


# --- the rest of the house ------------------------------------------------------------------------


PLANS = {
    "frozen": {},
    "thaw": {"thaw": {1: "layers.*", 2: "*"}},
    "lora": {"lora": 2},
    "features": {"head": lambda i, o: nn.Linear(i, o)},
}


@pytest.mark.parametrize("plan", ["frozen", "thaw", "lora"])
@pytest.mark.parametrize("made", [False, True], ids=["module", "function"])
def test_an_ejected_script_trains_to_the_same_weights(body, tmp_path, plan, made, capsys):
    start = mm.FineTune(trained, **PLANS[plan]) if made else mm.FineTune(body, **PLANS[plan])
    recipe = mm.Optimizer("auto", layer_decay=0.5)
    training = net(start, optimizer=recipe).manual(*rows())
    text = training.eject(tmp_path / "train.py")
    assert "manumatic" not in text.partition("\n")[2]
    assert ("Thaw(model, 4, schedule=" in text) == (plan == "thaw")
    assert (tmp_path / "train_body.pt").exists() != made
    torch.manual_seed(99)
    script = run(tmp_path / "train.py")
    training.run()
    assert same(training.model, script["model"]) == set(training.model.state_dict())


def test_a_module_among_the_arguments_of_any_model_is_copied_and_ejected(body, tmp_path, capsys):
    before = copy.deepcopy(body)
    training = net(mm.Model(Around, inside=body)).manual(*rows())
    training.eject(tmp_path / "train.py")
    script = run(tmp_path / "train.py")
    training.run()
    assert same(body, before) == set(before.state_dict())
    assert same(training.model, script["model"]) == set(training.model.state_dict())


class Around(nn.Module):
    def __init__(self, inside: nn.Module, out_features: int):
        super().__init__()
        self.inside, self.last = inside, nn.Linear(100, out_features)

    def forward(self, x):
        return self.last(self.inside(x))


@pytest.mark.parametrize("stop", [3, 4, 6, 9])
def test_a_run_stopped_anywhere_goes_on_across_a_thaw(body, tmp_path, stop):
    model = mm.FineTune(body, thaw={1: "layers.*", 2: "*"})
    whole = net(model, optimizer="auto").manual(*rows()).run()
    first = net(model, optimizer="auto").manual(*rows())
    for _ in range(stop):
        first.step()
    first.save(tmp_path / "run.pt")
    second = net(model, optimizer="auto").manual(*rows()).load(tmp_path / "run.pt")
    second.run()
    assert same(second.model, whole.model) == set(whole.model.state_dict())


def test_gears_agree_and_a_refit_is_fresh(body):
    estimator = net(mm.FineTune(body, thaw={1: "*"}), optimizer="auto")
    first = copy.deepcopy(estimator.fit(*rows()).model_)
    again = estimator.fit(*rows()).model_
    manual = clone(estimator).manual(*rows())
    for _ in manual:
        pass
    everything = set(first.state_dict())
    assert same(first, again) == same(first, manual.automatic().model_) == everything


def test_a_search_goes_over_what_learns(body):
    grid = {"model__freeze": ["auto", ["stem.*"]], "model__thaw": [None, {1: "*"}]}
    search = GridSearchCV(net(mm.FineTune(body), epochs=2), grid, cv=2).fit(*rows())
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.model.net is not body


def test_many_fits_as_one_leave_what_is_frozen_alone(body):
    one, two = (
        net(mm.FineTune(body), optimizer=mm.Optimizer("sgd", lr=lr), epochs=2) for lr in (0.1, 0.01)
    )
    from manumatic.model_selection import GridSearchCV as Together

    search = Together(one, {"optimizer__lr": [0.1, 0.01]}, cv=2).fit(*rows())
    frozen = {name for name in body.state_dict() if not name.startswith("fc.")}
    assert frozen <= same(search.best_estimator_.model_.body, body)
    alone = GridSearchCV(one, {"optimizer__lr": [0.1, 0.01]}, cv=2).fit(*rows())
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    thawing = net(mm.FineTune(body, thaw={1: "*"})).manual(*rows())
    assert why_alone(thawing) == "its layers thaw on a schedule"
    assert two.model.net is body


def test_warm_start_and_partial_fit_go_on(body):
    estimator = net(mm.FineTune(body, thaw={2: "*"}), epochs=3).set_params(warm_start=True)
    estimator.fit(*rows())
    assert estimator.model_.body.stem.weight.requires_grad
    before = copy.deepcopy(estimator.model_)
    estimator.fit(*rows())
    assert estimator.model_.body.stem.weight.requires_grad  # what has thawed stays so
    assert not torch.equal(before.body.stem.weight, estimator.model_.body.stem.weight)
    step = net(mm.FineTune(body, thaw={2: "*"}))
    kept = []
    for _ in range(4):
        step.partial_fit(*rows(), classes=[0, 1, 2])
        kept.append(torch.equal(step.model_.body.stem.weight, body.stem.weight))
    assert kept == [True, True, False, False]


def test_an_average_of_the_weights_keeps_what_is_frozen(body):
    estimator = net(mm.FineTune(body, thaw={2: "layers.*"}))
    estimator.loop.ema = 0.9
    estimator.fit(*rows())
    assert torch.equal(estimator.model_.body.stem.weight, body.stem.weight)


def test_lbfgs_and_a_step_of_ones_own_thaw(body):
    plan = {2: "layers.*"}
    lbfgs = net(mm.FineTune(body, thaw=plan), optimizer=mm.Optimizer("lbfgs", lr=0.1))
    fitted = lbfgs.fit(*rows())
    assert torch.equal(fitted.model_.body.stem.weight, body.stem.weight)
    assert not torch.equal(fitted.model_.body.layers[0].line.weight, body.layers[0].line.weight)
    own = net(mm.FineTune(body, thaw=plan))
    own.loop.step = one_step
    assert same(own.fit(*rows()).model_, net(mm.FineTune(body, thaw=plan)).fit(*rows()).model_)


def one_step(model, loss_fn, optimizer, X, y):
    loss = loss_fn(model(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@pytest.mark.parametrize("plan", ["frozen", "lora"])
def test_a_bundle_and_a_graph_say_the_same(body, tmp_path, plan):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("skops")
    X, y = rows()
    fitted = net(mm.FineTune(body, **PLANS[plan])).fit(X, y)
    saved = mm.save(fitted, tmp_path / "net.mm", X[:20])
    assert saved.tiers == [1, 2], saved.notes
    again = mm.load(tmp_path / "net.mm", classes=[Body, Block])
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_what_was_trained_here_goes_on_on_fewer_rows():
    X, y = load_iris(return_X_y=True)
    first = mm.Classifier("mlp", random_state=0, loop=mm.Loop(epochs=40)).fit(X[:100], y[:100])
    later = mm.Classifier(
        mm.FineTune(first.model_),
        data=mm.Data(preprocess=first.preprocess_),
        loop=mm.Loop(epochs=3),
        random_state=0,
    ).fit(X, y)
    assert torch.equal(later.model_.body[0].weight, first.model_[0].weight)
    assert later.model_.body[2].out_features == 3
    assert list(later.classes_) == [0, 1, 2]


def test_a_converted_model_goes_on_as_it_is():
    X, y = load_iris(return_X_y=True)
    fitted = MLPClassifier(5, solver="lbfgs", max_iter=20, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not have converged
        module = mm.to_torch(fitted.fit(X, y))
    parts = {"loop": mm.Loop(epochs=3), "random_state": 0}
    plain = mm.Classifier(module, **parts).fit(X, y)
    tuned = mm.Classifier(mm.FineTune(module), **parts).fit(X, y)
    np.testing.assert_array_equal(plain.predict_proba(X), tuned.predict_proba(X))
    frozen = mm.Classifier(mm.FineTune(module, freeze="net.body.0.*"), **parts).fit(X, y)
    before, after = module.state_dict(), frozen.model_.body.state_dict()
    assert torch.equal(after["net.body.0.weight"], before["net.body.0.weight"].float())
    assert not torch.equal(after["net.body.2.weight"], before["net.body.2.weight"].float())


def test_weights_may_learn_while_running_statistics_rest(body):
    patterns = ["*.weight", "*.bias"]
    fitted = net(mm.FineTune(body, thaw={1: patterns})).fit(*rows())
    left = same(fitted.model_.body, body)
    assert left == {f"layers.{i}.norm.{n}" for i in (0, 1) for n in STATISTICS}


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"freeze": "leyers.*"}, "matches no weight"),
        ({"thaw": {1: "leyers.*"}}, "matches no weight"),
        ({"thaw": ["layers.*"]}, "takes {epoch: pattern}"),
        ({"thaw": {-1: "*"}}, "takes {epoch: pattern}"),
        ({"freeze": 3}, "takes patterns"),
        ({"lora": 0}, "takes a rank"),
        ({"head": "linear"}, "head must be"),
    ],
)
def test_what_cannot_be_meant_is_said(body, given, words):
    with pytest.raises(ComponentError, match=words):
        net(mm.FineTune(body, **given)).fit(*rows())


def test_what_cannot_be_a_start_is_said(body):
    with pytest.raises(ComponentError, match="takes a trained nn"):
        net(mm.FineTune("mlp")).fit(*rows())
    with pytest.raises(ComponentError, match="cannot take rows of shape"):
        net(mm.FineTune(body)).fit(rows()[0][:, :3], rows()[1])
    conv = nn.Sequential(nn.Conv1d(1, 2, 1), nn.Flatten(), nn.Linear(8, 9))
    estimator = net(mm.FineTune(conv, lora=2))
    estimator.data.preprocess = FunctionTransformer(lambda X: np.asarray(X)[:, None, :])
    with pytest.raises(ComponentError, match="linear layers, and none of Sequential"):
        estimator.fit(*rows())


# --- networks of others ---------------------------------------------------------------------------


def usable(name):
    """The package, where it is there and goes with this torch."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{name} cannot be imported: {error}")


def photos(X):
    return np.repeat(np.asarray(X, np.float32)[:, None], 3, axis=1)


def resnet():
    from torchvision.models import resnet18

    torch.manual_seed(0)
    return resnet18(num_classes=20)


def test_a_network_of_torchvision(tmp_path, capsys):
    usable("torchvision.models")
    X = np.random.default_rng(0).normal(size=(6, 16, 16)).astype(np.float32)
    y = np.array([0, 1, 2, 0, 1, 2])
    estimator = mm.Classifier(
        mm.FineTune(resnet, thaw={1: "layer4.*"}),
        data=mm.Data(batch_size=3, preprocess=FunctionTransformer(photos)),
        optimizer=mm.Optimizer("auto", layer_decay=0.5),
        loop=mm.Loop(epochs=2),
        random_state=0,
    )
    training = estimator.manual(X, y)
    training.eject(tmp_path / "train.py")
    script = run(tmp_path / "train.py")
    fitted = training.run().automatic()
    assert same(fitted.model_, script["model"]) == set(fitted.model_.state_dict())
    start = resnet()
    frozen = {n for n in start.state_dict() if not n.startswith(("fc.", "layer4."))}
    assert same(fitted.model_.body, start) & set(start.state_dict()) >= frozen
    assert "layer4.0.bn1.running_mean" not in same(fitted.model_.body, start)
    assert "in place of fc" in told(fitted)


WORDS = ["good", "bad", "tea", "coffee", "is", "very", "not", "the", "cup", "was"]


def texts(n=40):
    rng = np.random.default_rng(0)
    made = [" ".join(rng.choice(WORDS, rng.integers(3, 7))) for _ in range(n)]
    return made, np.array([int("good" in text) for text in made])


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")


def bert(kind="AutoModelForSequenceClassification"):
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=12,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        num_labels=5,
    )
    return getattr(transformers, kind).from_config(config)


@pytest.fixture
def hugging_face():
    usable("transformers.models.bert.modeling_bert")
    with warnings.catch_warnings(), torch.random.fork_rng([]):
        warnings.simplefilter("ignore")
        yield


def reader(model, **parts):
    return mm.Classifier(
        model,
        data=mm.Data(batch_size=8, preprocess=tokenizer()),
        loop=mm.Loop(epochs=2),
        random_state=0,
        **parts,
    )


def test_a_network_of_hugging_face_reads_texts(hugging_face):
    X, y = texts()
    start = bert()
    fitted = reader(mm.FineTune(start)).fit(X, y)
    frozen = {name for name in start.state_dict() if not name.startswith("classifier.")}
    assert same(fitted.model_.body, start) == frozen
    assert "in place of classifier" in told(fitted)
    rates = reader(mm.FineTune(start, freeze=None), optimizer="auto").manual(X, y).optimizer
    assert [group["lr"] for group in rates.param_groups] == [2e-3, 5e-5]
    tuned = reader(mm.FineTune(start, thaw={1: "bert.encoder.layer.1.*"}, lora=2)).fit(X, y)
    assert tuned.predict_proba(X).shape == (40, 2)
    # what the network is given is what the tokenizer of its own makes of the texts
    own = tokenizer()(X[:7], padding=True, return_tensors="pt")
    ids = {"input_ids": own["input_ids"], "attention_mask": own["attention_mask"]}
    with torch.inference_mode():
        expected = fitted.model_.body(**ids).logits.softmax(1)
    np.testing.assert_allclose(fitted.predict_proba(X[:7]), expected, atol=1e-6)


def test_an_encoder_without_a_head_gets_one(hugging_face):
    X, y = texts()
    fitted = reader(mm.FineTune(bert("AutoModel"), freeze="embeddings.*")).fit(X, y)
    assert fitted.model_.head.in_features == 16


def test_rates_of_a_transformer_fall_by_its_layers(hugging_face):
    from manumatic.parts.rates import blocks_of

    assert [block[0] for block in blocks_of(bert())] == [
        *("bert.embeddings.*", "bert.encoder.layer.0.*", "bert.encoder.layer.1.*"),
        *("bert.pooler.*", "classifier.*"),
    ]


def test_texts_without_the_tokenizer_are_refused(hugging_face):
    X, y = texts()
    with pytest.raises(ComponentError, match="BertForSequenceClassification reads tokens"):
        mm.Classifier(mm.FineTune(bert())).fit(X, y)


def test_low_rank_changes_are_those_of_peft(hugging_face):
    peft = usable("peft")
    X, y = texts()
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules=["query", "value"])
    fitted = reader(mm.FineTune(bert(), lora=config)).fit(X, y)
    theirs = peft.inject_adapter_in_model(config, bert())
    theirs.classifier = copy.deepcopy(fitted.model_.body.classifier)
    ours = fitted.model_.body.state_dict()
    names = [name for name in ours if name.endswith(("lora_a", "lora_b"))]
    assert len(names) == 8
    their = dict(theirs.named_parameters())
    with torch.no_grad():
        for name in names:
            their[f"{name[:-1]}{name[-1].upper()}.default.weight"].copy_(ours[name])
    ids = tokenizer()(X, padding=True, return_tensors="pt")
    ids = {"input_ids": ids["input_ids"], "attention_mask": ids["attention_mask"]}
    with torch.inference_mode():
        expected = theirs.eval()(**ids).logits.softmax(1)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, atol=1e-6)
    strange = peft.LoraConfig(r=3, use_dora=True)
    with pytest.raises(ComponentError, match="use_dora=True of the LoraConfig"):
        reader(mm.FineTune(bert(), lora=strange)).fit(X, y)


def test_what_peft_has_put_in_learns_as_it_is(hugging_face):
    peft = usable("peft")
    X, _ = texts()
    config = peft.LoraConfig(r=2, target_modules=["query"], modules_to_save=["classifier"])
    model = peft.get_peft_model(bert("AutoModelForSequenceClassification"), config)
    model.config.num_labels = 5
    found = mm.FineTune(model, head=None, freeze=None)
    training = reader(found).manual(X, (np.arange(40) % 5))
    before = copy.deepcopy(training.model)
    training.run()
    left = same(training.model, before)
    assert any("embeddings" in name for name in left)
    assert not any("lora_B" in name for name in left)
