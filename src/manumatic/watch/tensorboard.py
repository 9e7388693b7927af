"""TensorBoard: curves, histograms, the graph and the settings of a run, in its own folder."""

__all__ = ["Node", "TensorBoard", "trace"]

import itertools
import time
from collections.abc import Iterator, Mapping
from copy import deepcopy
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from manumatic.errors import MissingExtra
from manumatic.watch.loggers import Run, Writer, is_healthy


class TensorBoard(Writer):
    """Writes a run to a folder that ``tensorboard --logdir`` shows.

    Parameters
    ----------
    log_dir : path
        The folder of the run. Where a run lies there already, the next goes to ``log_dir/2`` and
        so on: the fits of a search stay apart, and HPARAMS compares them.
    histograms : bool
        Weights and gradients, each time that ``mm.Watch(every=...)`` is due.
    graph : bool
        Layers and functions as one forward pass of a copy calls them; nothing is compiled.
    hparams : bool
        The settings of the run and its last values, under HPARAMS.

    Attributes
    ----------
    run_dir : Path or None
        The folder of the present or last run.

    Raises
    ------
    MissingExtra
        At the start of a run: tensorboard is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import manumatic as mm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     board = mm.TensorBoard(f"{folder}/houses")
    ...     board.log({"loss/train": 0.5}, 0)
    ...     board.close({})
    ...     board.run_dir.name
    'houses'
    """

    def __init__(
        self,
        log_dir: str | PathLike[str],
        histograms: bool = True,
        graph: bool = True,
        hparams: bool = True,
    ) -> None:
        self.log_dir = log_dir
        self.histograms = histograms
        self.graph = graph
        self.hparams = hparams

    run_dir: Path | None = None
    _writer: Any = None

    @property
    def tensors(self) -> bool:
        """Whether weights and gradients are wanted."""
        return self.histograms

    def start(self, run: Run) -> None:
        """Open a folder; write the graph and the settings."""
        self._end()
        file = self._open().file_writer
        if self.graph:
            file.add_event(_graph_event(trace(run.model, run.sample)))
        if self.hparams:
            file.add_summary(_session_start(run.settings))

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Numbers as scalars, tensors as histograms of what is finite in them."""
        writer = self._writer or self._open()
        for name, value in values.items():
            if not isinstance(value, Tensor):
                writer.add_scalar(name, float(value), step)
                self._logged.add(name)
            elif (finite := _finite(value)).numel():
                writer.add_histogram_raw(name, **_histogram(finite), global_step=step)
        self._step = step

    def close(self, summary: Mapping[str, float]) -> None:
        """Write the values that were not logged yet, and say how the run ended."""
        writer = self._writer or self._open()
        self.log({name: v for name, v in summary.items() if name not in self._logged}, self._step)
        if self.hparams:
            writer.file_writer.add_summary(_session_end(is_healthy(summary)))
        self._end()

    def _open(self) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtra("tensorboard", "tensorboard") from None
        self.run_dir = _own_folder(Path(self.log_dir))
        # on the disk at once; where TensorFlow is installed its own files wait: a second at most
        self._writer = SummaryWriter(str(self.run_dir), flush_secs=1)
        self._logged: set[str] = set()
        self._step = 0
        return self._writer

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _finite(values: Tensor) -> Tensor:
    good = values.isfinite()
    return values if good.all() else values[good]  # to pick them is a copy: slow for large tensors


def _histogram(values: Tensor) -> dict[str, Any]:
    """As ``add_histogram_raw`` takes it: 30 bins of one width, which is what TensorBoard draws.

    ``add_histogram`` sorts into 1,500 and takes three times as long.
    """
    numbers = values.detach().cpu().double().numpy().ravel()
    counts, edges = np.histogram(numbers, bins=30)
    return {
        "min": numbers.min(),
        "max": numbers.max(),
        "num": numbers.size,
        "sum": numbers.sum(),
        "sum_squares": numbers @ numbers,
        "bucket_limits": edges[1:].tolist(),
        "bucket_counts": counts.tolist(),
    }


def _own_folder(log_dir: Path) -> Path:
    """``log_dir``, or the first of ``log_dir/2``, ``/3``, ... that no run has taken yet."""
    later = (log_dir / str(number) for number in itertools.count(2))
    return next(folder for folder in itertools.chain([log_dir], later) if _take(folder))


def _take(folder: Path) -> bool:
    """Make the mark of a run or find it, in one step: parallel fits cannot take the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / ".manumatic").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


# --- settings: the messages of the HPARAMS page ---------------------------------------------------
#
# Into the run itself, where torch's add_hparams would open another. No list of parameters and
# metrics for all runs (an Experiment): TensorBoard would take the first it finds for every run
# beside it; without one it collects them from the runs.


def _session_start(settings: Mapping[str, Any]) -> Any:
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    for name, value in settings.items():
        if isinstance(value, bool):  # before int, which it is too
            info.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            info.hparams[name].number_value = value
        else:
            info.hparams[name].string_value = str(value)
    content = plugin_data_pb2.HParamsPluginData(session_start_info=info)
    return _hparams_summary(metadata.SESSION_START_INFO_TAG, content)


def _session_end(healthy: bool) -> Any:
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_SUCCESS if healthy else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    content = plugin_data_pb2.HParamsPluginData(session_end_info=info)
    return _hparams_summary(metadata.SESSION_END_INFO_TAG, content)


def _hparams_summary(tag: str, content: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata

    described = metadata.create_summary_metadata(content)
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)])


# --- the graph: what one forward pass calls -------------------------------------------------------


class Node(NamedTuple):
    """A layer or a function, in the order of the calls."""

    name: str  # "layers/0": the path of the layer; of a function: the layer that it is called in
    op: str
    inputs: list[str]
    shapes: list[tuple[int, ...]]
    detail: str = ""


def trace(model: nn.Module, sample: Tensor) -> list[Node]:
    """The layers and functions that a copy of the model calls on some rows.

    It runs as it is, whatever its ``forward`` decides: unlike torch.jit and torch.fx this needs no
    symbolic values, and shows the path that these rows took.
    """
    model = deepcopy(model).eval()
    tracer = _Tracer(model)
    device = next((weight.device for weight in model.parameters()), sample.device)
    sample = sample.to(device)
    tracer.add("input", type(sample).__name__, (), sample, own=True)
    eager = torch.compiler.set_stance("force_eager")  # a compiled model as its author wrote it
    drawn = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with drawn, torch.no_grad(), eager, tracer:
        output = model(sample)
    for tensor in _tensors(output):
        tracer.add("output", type(tensor).__name__, tensor, own=True)
    return tracer.nodes


class _Tracer(TorchFunctionMode):
    """Sees each function of torch by the mode, each layer by hooks on it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.made_by: dict[int, str] = {}  # id of a tensor → name of the node
        self.alive: list[Tensor] = []  # else a new tensor could get the id of an old one
        self.scopes: list[str] = [""]
        self.inside_layer = 0
        paths = {name.replace(".", "/"): part for name, part in model.named_modules()}
        self.taken = {"input", "output", *paths}
        self.waiting = set(self.taken)  # kept for layers that were not called yet
        for path, part in paths.items():
            self._listen(path, part)

    def _listen(self, path: str, part: nn.Module) -> None:
        is_layer = not any(True for _ in part.children())

        def enter(*_: Any) -> None:
            if is_layer:
                self.inside_layer += 1
            else:
                self.scopes.append(path and f"{path}/")

        def leave(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if is_layer:
                self.inside_layer -= 1
                kind = type(part).__name__
                self.add(path or kind, kind, (args, kwargs), output, _detail(part), own=True)
            else:
                self.scopes.pop()

        part.register_forward_pre_hook(enter)
        part.register_forward_hook(leave, with_kwargs=True)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if not self.inside_layer:
            words = (resolve_name(func) or getattr(func, "__name__", "function")).split(".")
            op = [word for word in words if word != "__get__"][-1].strip("_")
            self.add(self.scopes[-1] + op, op, (args, kwargs), output)
        return output

    def add(
        self, name: str, op: str, inputs: Any, output: Any = (), detail: str = "", own: bool = False
    ) -> None:
        """Note a call, unless nothing that comes from the rows goes in or comes out."""
        before = [self.made_by[id(t)] for t in _tensors(inputs) if id(t) in self.made_by]
        after = list(_tensors(output))
        if (before or name == "input") and (after or own):
            name = self._free(name, own)
            shapes = [tuple(tensor.shape) for tensor in after]
            self.nodes.append(Node(name, op, list(dict.fromkeys(before)), shapes, detail))
            self.made_by |= {id(tensor): name for tensor in after}
            self.alive += after

    def _free(self, name: str, own: bool) -> str:
        """Its own name at the first call of a layer; with a number where a name is taken."""
        if own and name in self.waiting:
            self.waiting.remove(name)
            return name
        names = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(1)))
        free = next(one for one in names if one not in self.taken)
        self.taken.add(free)
        return free


def _detail(layer: nn.Module) -> str:
    size = sum(weight.numel() for weight in layer.parameters())
    return ", ".join(filter(None, [layer.extra_repr(), f"{size} parameters" if size else ""]))


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))


def _graph_event(nodes: list[Node]) -> Any:
    from tensorboard.compat.proto.attr_value_pb2 import AttrValue
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.node_def_pb2 import NodeDef
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto as Shape

    graph = GraphDef()
    for name, op, inputs, sizes, detail in nodes:
        shapes = [Shape(dim=[Shape.Dim(size=size) for size in shape]) for shape in sizes]
        attr = {"_output_shapes": AttrValue(list=AttrValue.ListValue(shape=shapes))}
        if detail:
            attr["detail"] = AttrValue(s=detail.encode())
        graph.node.append(NodeDef(name=name, op=op, input=inputs, attr=attr))
    return Event(graph_def=graph.SerializeToString())
