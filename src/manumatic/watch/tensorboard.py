"""TensorBoard: curves, histograms, the graph and the settings of a run, in its own folder."""

__all__ = ["TensorBoard", "graph_def"]

import itertools
import time
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from manumatic.errors import MissingExtra
from manumatic.parts.tracing import Call, Trace, trace
from manumatic.watch.loggers import Run, Writer, is_healthy

ENDS = ("input", "output")


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
            graph = graph_def(trace(run.model, (run.sample,), whole=True))
            file.add_onnx_graph(graph)  # a GraphDef of whatever origin
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


def graph_def(found: Trace) -> Any:
    """A forward pass as the GraphDef that TensorBoard's page GRAPHS shows.

    A node is named after the path of its layer, "body/0", or after the function and the layer that
    calls it, "body/add"; further calls are numbered.
    """
    from tensorboard.compat.proto.attr_value_pb2 import AttrValue
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.node_def_pb2 import NodeDef
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto as Shape

    graph, names = GraphDef(), _names(found)
    for name, step in zip(names, found.steps, strict=True):
        shapes = [Shape(dim=[Shape.Dim(size=size) for size in made]) for made in step.made]
        attr = {"_output_shapes": AttrValue(list=AttrValue.ListValue(shape=shapes))}
        if detail := _detail(step, found.model):
            attr["detail"] = AttrValue(s=detail.encode())
        op = "Tensor" if step.kind in ENDS else step.kind
        inputs = [names[place] for place in step.inputs]
        graph.node.append(NodeDef(name=name, op=op, input=inputs, attr=attr))
    return graph


def _names(found: Trace) -> list[str]:
    """Its own path for the first call of a layer; with a number where a name is taken."""
    kept = {*ENDS, *(name.replace(".", "/") for name, _ in found.model.named_modules())}
    names: dict[str, None] = {}  # in their order, and quick to look up
    for step in found.steps:
        own = step.within is None
        path = step.name if own else f"{step.within}.{step.kind}".removeprefix(".")
        path = path.replace(".", "/") or step.kind
        others = (name for n in itertools.count(1) if (name := f"{path}_{n}") not in kept)
        first = [path] if own or path not in kept else []
        names[next(name for name in itertools.chain(first, others) if name not in names)] = None
    return list(names)


def _detail(step: Call, model: nn.Module) -> str:
    """Of a layer: its settings and the number of its parameters."""
    if step.kind in ENDS or step.within is not None:
        return ""
    layer = model.get_submodule(step.name)
    size = sum(weight.numel() for weight in layer.parameters())
    return ", ".join(filter(None, [layer.extra_repr(), f"{size} parameters" if size else ""]))
