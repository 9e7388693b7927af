"""What TensorBoard's own reader finds in the folder of a run."""

import copy
import json
import pickle
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from torch import nn

import manumatic as mm
from manumatic.errors import MissingExtra
from manumatic.parts.tracing import trace
from manumatic.watch.loggers import Run
from manumatic.watch.spec import Watch
from manumatic.watch.tensorboard import TensorBoard, graph_def

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.plugins.hparams import api_pb2, metadata

IRIS, KINDS = load_iris(return_X_y=True)


def iris_net(board, *, epochs=3, lr=0.01, **watch):
    return mm.Classifier(
        mm.Model("mlp", hidden=8),
        optimizer=mm.Optimizer("adam", lr=lr),
        loop=mm.Loop(epochs, patience=epochs),
        random_state=0,
        watch=Watch(log=board, **watch),
    )


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0})
    return events.Reload()


def points(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def graph_of(events):
    return {
        node.name: node for node in GraphDef.FromString(events.Graph().SerializeToString()).node
    }


@pytest.fixture(scope="module")
def iris_run(tmp_path_factory):
    board = TensorBoard(tmp_path_factory.mktemp("boards") / "iris")
    net = iris_net(board).fit(IRIS, KINDS)
    return net, read(board.run_dir)


# --- one run -------------------------------------------------------------------------------------


def test_scalars_are_the_history(iris_run):
    net, events = iris_run
    for part in ("train", "valid"):
        wanted = net.history_.curve("loss", part)
        assert points(events, f"loss/{part}") == [(n, np.float32(loss)) for n, loss in wanted]
    assert points(events, "lr") == [(epoch, np.float32(0.01)) for epoch in range(3)]


def test_everything_lies_in_one_run(iris_run):
    net, _ = iris_run
    board = net.watch.log
    found = sorted(path.name.split(".")[1] for path in board.run_dir.iterdir())
    assert found == ["manumatic", "out"]  # the mark and one file of events: no run beside the run


def test_histograms_count_every_weight_and_gradient(iris_run):
    net, events = iris_run
    weights = dict(net.model_.named_parameters())
    assert set(events.Tags()["histograms"]) == {
        f"{kind}/{name}" for kind in ("weights", "gradients") for name in weights
    }
    for name, weight in weights.items():
        histograms = events.Histograms(f"weights/{name}")
        assert [h.step for h in histograms] == [0, 1, 2]
        assert {h.histogram_value.num for h in histograms} == {weight.numel()}
        assert sum(histograms[-1].histogram_value.bucket) == weight.numel()
    moved = events.Histograms("gradients/0.weight")[0].histogram_value
    assert moved.min < 0 < moved.max


def test_a_histogram_is_of_its_epoch(tmp_path):
    """``log`` has read a tensor when it returns: the next step changes it in place."""
    board, weight = TensorBoard(tmp_path), torch.ones(5)
    for step in range(3):
        board.log({"weights/w": weight}, step)
        weight += 1
    board.close({})
    sums = [h.histogram_value.sum for h in read(tmp_path).Histograms("weights/w")]
    assert sums == [5, 10, 15]


def test_what_is_not_finite_is_left_out_of_a_histogram(tmp_path):
    board = TensorBoard(tmp_path)
    broken = torch.tensor([1.0, float("nan"), float("inf"), 3e38])
    board.log({"some": broken, "none": torch.full((3,), torch.nan), "loss": float("nan")}, 0)
    board.close({})
    events = read(tmp_path)
    assert events.Tags()["histograms"] == ["some"]
    assert events.Histograms("some")[0].histogram_value.num == 2
    assert np.isnan(events.Scalars("loss")[0].value)


def test_settings_and_last_values_are_in_the_same_run(iris_run):
    _, events = iris_run
    plugin = events.summary_metadata
    start = metadata.parse_session_start_info_plugin_data(
        plugin[metadata.SESSION_START_INFO_TAG].plugin_data.content
    )
    assert start.hparams["optimizer.lr"].number_value == 0.01
    assert start.hparams["optimizer.name"].string_value == "adam"
    assert start.hparams["data.shuffle"].bool_value is True
    assert start.hparams["data.shuffle"].WhichOneof("kind") == "bool_value"
    end = metadata.parse_session_end_info_plugin_data(
        plugin[metadata.SESSION_END_INFO_TAG].plugin_data.content
    )
    assert end.status == api_pb2.STATUS_SUCCESS
    assert end.end_time_secs >= start.start_time_secs > 0


def test_the_summary_adds_what_was_not_logged_and_says_how_it_ended(tmp_path):
    board = TensorBoard(tmp_path)
    board.start(Run(nn.Linear(1, 1), torch.zeros(2, 1), {"lr": 0.1}))
    board.log({"loss/train": 2.0}, 4)
    board.close({"loss/train": 2.0, "accuracy/test": 0.5, "loss/test": float("inf")})
    events = read(tmp_path)
    assert points(events, "loss/train") == [(4, 2.0)]
    assert points(events, "accuracy/test") == [(4, 0.5)]
    content = events.summary_metadata[metadata.SESSION_END_INFO_TAG].plugin_data.content
    end = metadata.parse_session_end_info_plugin_data(content)
    assert end.status == api_pb2.STATUS_FAILURE


def test_only_what_is_asked_for_is_written(tmp_path):
    board = TensorBoard(tmp_path / "run", histograms=False, graph=False, hparams=False)
    iris_net(board).fit(IRIS, KINDS)
    events = read(board.run_dir)
    assert events.Tags()["histograms"] == []
    assert events.Tags()["graph"] is False
    assert events.summary_metadata == {}
    assert len(points(events, "loss/train")) == 3


# --- more runs -----------------------------------------------------------------------------------


def test_runs_of_a_search_lie_side_by_side(tmp_path):
    net = iris_net(TensorBoard(tmp_path / "search", histograms=False), epochs=2)
    GridSearchCV(net, {"optimizer__lr": [0.1, 0.01]}, cv=2, refit=False).fit(IRIS, KINDS)
    folders = [tmp_path / "search", *(tmp_path / "search" / str(n) for n in (2, 3, 4))]
    assert [points(read(folder), "lr")[0][1] for folder in folders] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01]
    )
    assert all(len(points(read(folder), "loss/train")) == 2 for folder in folders)


@pytest.mark.slow
def test_parallel_fits_take_a_folder_each(tmp_path):
    net = iris_net(TensorBoard(tmp_path, histograms=False, graph=False), epochs=2)
    search = GridSearchCV(net, {"optimizer__lr": [0.1, 0.01]}, cv=3, refit=False, n_jobs=2)
    search.fit(IRIS, KINDS)
    folders = [tmp_path, *(tmp_path / str(n) for n in range(2, 7))]
    assert [len(list(folder.glob("events*"))) for folder in folders] == [1] * 6


def test_copies_leave_the_open_file_behind(tmp_path):
    board = TensorBoard(tmp_path, hparams=False)
    board.log({"loss/train": 1.0}, 0)
    # the bytes were pickled a moment before
    for twin in (clone(board), copy.deepcopy(board), pickle.loads(pickle.dumps(board))):  # noqa: S301
        assert twin.get_params() == board.get_params()
        assert not any(name.startswith("_") for name in vars(twin))
    board.log({"loss/train": 0.5}, 1)
    board.close({})
    assert len(points(read(tmp_path), "loss/train")) == 2
    again = copy.deepcopy(board)
    again.log({"loss/train": 3.0}, 0)
    again.close({})
    assert again.run_dir == tmp_path / "2"


def test_by_hand_in_the_manual_gear(tmp_path, study_hours):
    board = TensorBoard(tmp_path)
    training = mm.Regressor("linear", loop=mm.Loop(epochs=3), random_state=0).manual(*study_hours)
    for step in training:
        board.log({"loss/train": float(step.loss)}, step.epoch)
    board.close({})
    assert [epoch for epoch, _ in points(read(tmp_path), "loss/train")] == [0, 1, 2]


def test_values_can_be_seen_while_training_goes_on(tmp_path):
    board = TensorBoard(tmp_path)
    board.log({"loss/train": 1.0}, 0)
    deadline = time.monotonic() + 10
    while "loss/train" not in read(tmp_path).Tags()["scalars"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    board.close({})


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    for name in ("tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)  # as Python marks what cannot be imported
    with pytest.raises(MissingExtra, match=r'needs tensorboard: pip install "manumatic\[tensorb'):
        iris_net(TensorBoard(tmp_path / "run")).fit(IRIS, KINDS)
    assert not (tmp_path / "run").exists()


# --- the graph -----------------------------------------------------------------------------------


class Winding(nn.Module):
    """A skip, a layer called twice, a choice by numbers, a function, a constant, a draw."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
        self.relu = nn.Linear(8, 2)  # named like the function that is called before it

    def forward(self, x):
        torch.rand(1)
        x = F.relu(self.first(x))
        x = x + self.body(x)
        if float(x.sum()) < -1:
            return x
        return self.relu(self.body(x).flatten(1)) @ torch.eye(2)


def nodes_of(model, X):
    return graph_def(trace(model, (X,), whole=True)).node


def test_the_graph_is_what_forward_calls():
    nodes = nodes_of(Winding(), torch.randn(3, 4))
    assert {(start, node.name) for node in nodes for start in node.input} == {
        ("input", "first"),
        ("first", "relu_1"),
        ("relu_1", "body/0"),
        ("body/0", "body/1"),
        ("relu_1", "add"),
        ("body/1", "add"),
        ("add", "sum"),
        ("add", "body/0_1"),
        ("body/0_1", "body/1_1"),
        ("body/1_1", "flatten"),
        ("flatten", "relu"),
        ("relu", "matmul"),
        ("matmul", "output"),
    }
    by_name = {node.name: node for node in nodes}
    assert (by_name["relu"].op, by_name["relu_1"].op) == ("Linear", "relu")
    [shape] = by_name["body/0"].attr["_output_shapes"].list.shape
    assert [dim.size for dim in shape.dim] == [3, 8]
    for name in ("body/0", "body/0_1"):
        assert by_name[name].attr["detail"].s.decode().endswith("72 parameters")


def test_every_layer_of_a_transformer_is_there():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    names = {node.name for node in nodes_of(model, torch.randn(3, 5, 8))}
    leaves = [name for name, part in model.named_modules() if not list(part.children())]
    wanted = {name.replace(".", "/") for name in leaves} - {
        f"layers/{number}/self_attn/out_proj"
        for number in (0, 1)  # its weights go to a function
    }
    assert wanted <= names
    assert "layers/1/self_attn/multi_head_attention_forward" in names


@pytest.mark.parametrize(
    ("model", "shape", "ops"),
    [
        (nn.Linear(4, 2), (3, 4), ["Linear"]),
        (nn.LSTM(3, 4, batch_first=True), (2, 5, 3), ["LSTM"]),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten()), (2, 1, 4, 4), None),
    ],
    ids=["one layer", "several outputs", "images"],
)
def test_the_chain_of_a_simple_model(model, shape, ops):
    ops = ops or [type(part).__name__ for part in model]
    chain = [node for node in nodes_of(model, torch.randn(shape)) if node.op != "Tensor"]
    assert [node.op for node in chain] == ops
    assert [list(node.input) for node in chain] == [
        ["input"],
        *([node.name] for node in chain[:-1]),
    ]


def test_functions_are_below_the_layer_that_calls_them():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.add, self.add_1 = nn.Linear(4, 4), nn.ReLU()  # named like functions

        def forward(self, x):
            return self.add_1(self.add(x) + x + x)

    names = [node.name for node in nodes_of(nn.Sequential(Block()), torch.randn(3, 4))]
    assert names == ["input", "0/add", "0/add_2", "0/add_3", "0/add_1", "output"]


def test_the_sample_of_the_run_stays_as_it_is(tmp_path):
    board, sample = TensorBoard(tmp_path), torch.tensor([[-1.0, 1.0]])
    board.start(Run(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 1)), sample, {}))
    board.close({})
    assert sample.tolist() == [[-1.0, 1.0]]


def test_the_graph_is_read_back_with_names_edges_and_shapes(iris_run):
    net, events = iris_run
    nodes = graph_of(events)
    layers = {name: type(part).__name__ for name, part in net.model_.named_children()}
    assert {name: nodes[name].op for name in layers} == layers
    assert set(nodes) == {"input", "output", *layers}
    chain = ["input", *layers, "output"]
    assert [list(nodes[name].input) for name in chain] == [[], *([name] for name in chain[:-1])]
    shape = nodes["0"].attr["_output_shapes"].list.shape[0]
    assert [dim.size for dim in shape.dim][1:] == [8]
    assert nodes["0"].attr["detail"].s.decode().startswith("in_features=4, out_features=8")


# --- the program ---------------------------------------------------------------------------------


def answer(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as reply:
        return reply.read().decode()


def wait_for(url, deadline):
    while True:
        try:
            return answer(url)
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.slow
def test_the_program_shows_curves_graph_and_settings(tmp_path):
    net = iris_net(TensorBoard(tmp_path / "iris"), epochs=2)
    for lr in (0.1, 0.01):
        clone(net).set_params(optimizer__lr=lr).fit(IRIS, KINDS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={tmp_path}", f"--port={port}"]
    server = subprocess.Popen(
        [*command, "--host=127.0.0.1", "--load_fast=false"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        data, deadline = f"http://127.0.0.1:{port}/data", time.monotonic() + 60
        wait_for(f"{data}/runs", deadline)
        while len(json.loads(answer(f"{data}/runs"))) < 2:  # it is still reading
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert set(json.loads(answer(f"{data}/runs"))) == {"iris", "iris/2"}
        graph = answer(f"{data}/plugin/graphs/graph?run=iris")
        assert 'op: "Linear"' in graph
        plugin = f"{data}/plugin/hparams"
        found = json.loads(answer(f"{plugin}/experiment", {"experimentName": ""}))
        infos = {info["name"]: info for info in found["hparamInfos"]}
        assert infos["optimizer.lr"]["differs"] is True
        assert {"optimizer.lr", "optimizer.name", "seed"} <= set(infos)
        metrics = {info["name"]["tag"] for info in found["metricInfos"]}
        assert {"loss/train", "loss/valid"} <= metrics
        ask = {"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS"], "sliceSize": 10}
        groups = json.loads(answer(f"{plugin}/session_groups", ask))["sessionGroups"]
        assert {group["hparams"]["optimizer.lr"] for group in groups} == {0.1, 0.01}
        assert all(group["metricValues"] for group in groups)
    finally:
        server.terminate()
        server.wait(20)
