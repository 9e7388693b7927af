"""One estimator, two gears: ``fit`` any PyTorch network like scikit-learn, or drive by hand.

The names are looked up on first use (PEP 562), so that ``import manumatic`` and
``manumatic --help`` cost milliseconds: torch, scikit-learn and pandas are imported when
something needs them.
"""

__all__ = [
    "Augment",
    "Autoencoder",
    "Checkpoint",
    "Classifier",
    "Comparison",
    "ComponentError",
    "ConvertError",
    "Data",
    "DataError",
    "DivergedError",
    "EjectError",
    "Embedder",
    "Ensemble",
    "FineTune",
    "GraphDisplay",
    "Images",
    "JSONLines",
    "LearningRateDisplay",
    "Loop",
    "Loss",
    "LossCurveDisplay",
    "MLflow",
    "ManumaticError",
    "MissingExtra",
    "Model",
    "Optimizer",
    "Parquet",
    "Regressor",
    "Sweep",
    "TensorBoard",
    "Tokenizer",
    "Training",
    "Tuned",
    "WandB",
    "Watch",
    "WeightTrajectoryDisplay",
    "__version__",
    "compare",
    "convertible",
    "converts",
    "datasets",
    "diagnose",
    "explain",
    "export",
    "ignore",
    "input_gradients",
    "integrated_gradients",
    "listen",
    "load",
    "model_selection",
    "save",
    "serve",
    "shift",
    "shiftable",
    "shifts",
    "summary",
    "sweep",
    "to_torch",
    "tune",
]

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manumatic import datasets as datasets
    from manumatic import model_selection as model_selection
    from manumatic.compare.contest import Comparison as Comparison
    from manumatic.compare.contest import compare as compare
    from manumatic.convert.module import to_torch as to_torch
    from manumatic.convert.registry import convertible as convertible
    from manumatic.convert.registry import converts as converts
    from manumatic.deliver.export import export as export
    from manumatic.deliver.load import load as load
    from manumatic.deliver.save import save as save
    from manumatic.deliver.serve.server import serve as serve
    from manumatic.doctor.diagnose import diagnose as diagnose
    from manumatic.doctor.explain import explain as explain
    from manumatic.doctor.finding import ignore as ignore
    from manumatic.doctor.listen import listen as listen
    from manumatic.errors import ComponentError as ComponentError
    from manumatic.errors import ConvertError as ConvertError
    from manumatic.errors import DataError as DataError
    from manumatic.errors import DivergedError as DivergedError
    from manumatic.errors import EjectError as EjectError
    from manumatic.errors import ManumaticError as ManumaticError
    from manumatic.errors import MissingExtra as MissingExtra
    from manumatic.gears.autoencoder import Autoencoder as Autoencoder
    from manumatic.gears.automatic import Classifier as Classifier
    from manumatic.gears.automatic import Regressor as Regressor
    from manumatic.gears.embedder import Embedder as Embedder
    from manumatic.gears.manual import Training as Training
    from manumatic.inspection.gradients import input_gradients as input_gradients
    from manumatic.inspection.gradients import integrated_gradients as integrated_gradients
    from manumatic.inspection.graph import GraphDisplay as GraphDisplay
    from manumatic.inspection.graph import summary as summary
    from manumatic.inspection.learning_rate import LearningRateDisplay as LearningRateDisplay
    from manumatic.inspection.loss_curve import LossCurveDisplay as LossCurveDisplay
    from manumatic.inspection.sweep import Sweep as Sweep
    from manumatic.inspection.sweep import sweep as sweep
    from manumatic.inspection.trajectory import WeightTrajectoryDisplay as WeightTrajectoryDisplay
    from manumatic.model_selection.ensemble import Ensemble as Ensemble
    from manumatic.model_selection.tune import tune as tune
    from manumatic.model_selection.tuned import Tuned as Tuned
    from manumatic.parts.augment import Augment as Augment
    from manumatic.parts.components import Checkpoint as Checkpoint
    from manumatic.parts.components import Data as Data
    from manumatic.parts.components import Loop as Loop
    from manumatic.parts.components import Loss as Loss
    from manumatic.parts.components import Model as Model
    from manumatic.parts.components import Optimizer as Optimizer
    from manumatic.parts.finetune import FineTune as FineTune
    from manumatic.parts.images import Images as Images
    from manumatic.parts.parquet import Parquet as Parquet
    from manumatic.parts.tokens import Tokenizer as Tokenizer
    from manumatic.shift.registry import shift as shift
    from manumatic.shift.registry import shiftable as shiftable
    from manumatic.shift.registry import shifts as shifts
    from manumatic.watch.loggers import JSONLines as JSONLines
    from manumatic.watch.services import MLflow as MLflow
    from manumatic.watch.services import WandB as WandB
    from manumatic.watch.spec import Watch as Watch
    from manumatic.watch.tensorboard import TensorBoard as TensorBoard

    __version__: str

HOME = {
    "Augment": "manumatic.parts.augment",
    "Autoencoder": "manumatic.gears.autoencoder",
    "Classifier": "manumatic.gears.automatic",
    "Comparison": "manumatic.compare.contest",
    "ComponentError": "manumatic.errors",
    "ConvertError": "manumatic.errors",
    "Checkpoint": "manumatic.parts.components",
    "Data": "manumatic.parts.components",
    "DataError": "manumatic.errors",
    "DivergedError": "manumatic.errors",
    "EjectError": "manumatic.errors",
    "Embedder": "manumatic.gears.embedder",
    "Ensemble": "manumatic.model_selection.ensemble",
    "FineTune": "manumatic.parts.finetune",
    "GraphDisplay": "manumatic.inspection.graph",
    "Images": "manumatic.parts.images",
    "JSONLines": "manumatic.watch.loggers",
    "LearningRateDisplay": "manumatic.inspection.learning_rate",
    "Loop": "manumatic.parts.components",
    "Loss": "manumatic.parts.components",
    "LossCurveDisplay": "manumatic.inspection.loss_curve",
    "MLflow": "manumatic.watch.services",
    "ManumaticError": "manumatic.errors",
    "MissingExtra": "manumatic.errors",
    "Model": "manumatic.parts.components",
    "Optimizer": "manumatic.parts.components",
    "Parquet": "manumatic.parts.parquet",
    "Regressor": "manumatic.gears.automatic",
    "Sweep": "manumatic.inspection.sweep",
    "TensorBoard": "manumatic.watch.tensorboard",
    "Tokenizer": "manumatic.parts.tokens",
    "Training": "manumatic.gears.manual",
    "Tuned": "manumatic.model_selection.tuned",
    "WandB": "manumatic.watch.services",
    "Watch": "manumatic.watch.spec",
    "WeightTrajectoryDisplay": "manumatic.inspection.trajectory",
    "compare": "manumatic.compare.contest",
    "convertible": "manumatic.convert.registry",
    "converts": "manumatic.convert.registry",
    "diagnose": "manumatic.doctor.diagnose",
    "explain": "manumatic.doctor.explain",
    "export": "manumatic.deliver.export",
    "ignore": "manumatic.doctor.finding",
    "input_gradients": "manumatic.inspection.gradients",
    "integrated_gradients": "manumatic.inspection.gradients",
    "listen": "manumatic.doctor.listen",
    "load": "manumatic.deliver.load",
    "save": "manumatic.deliver.save",
    "serve": "manumatic.deliver.serve.server",
    "shift": "manumatic.shift.registry",
    "shiftable": "manumatic.shift.registry",
    "shifts": "manumatic.shift.registry",
    "summary": "manumatic.inspection.graph",
    "sweep": "manumatic.inspection.sweep",
    "to_torch": "manumatic.convert.module",
    "tune": "manumatic.model_selection.tune",
}


class _Package(ModuleType):
    """``mm.compare`` is the function, although a subpackage has the same name.

    Importing a submodule binds it on its parent; for the names in ``HOME`` that would hide the
    function from whoever imports ``manumatic.compare.anything`` first.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in HOME:
        value = getattr(import_module(HOME[name]), name)
    elif name in ("datasets", "model_selection"):
        value = import_module(f"manumatic.{name}")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("manumatic")
    else:
        from manumatic.errors import nearest

        near = nearest(name, __all__)
        raise AttributeError(f"module 'manumatic' has no attribute {name!r}.{near}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
