"""Weights & Biases and MLflow: thin, imported when a run starts."""

__all__ = ["MLflow", "WandB"]

import os
import time
from collections.abc import Mapping
from typing import Any

from manumatic.errors import MissingExtra
from manumatic.watch.loggers import Run, Writer, is_healthy


class WandB(Writer):
    """Each fit as a run of Weights & Biases; a run that you opened yourself is a logger already.

    Parameters
    ----------
    project : str or None
        None leaves it to wandb's own settings.
    **init
        Handed to ``wandb.init``: ``mode="offline"``, ``name=``, ``dir=``, ...

    Attributes
    ----------
    run_id : str or None
        Of the present or last run.

    Raises
    ------
    MissingExtra
        At the start of a run: wandb is not installed.

    Examples
    --------
    >>> import manumatic as mm
    >>> mm.Watch(log=mm.WandB("houses", mode="offline")).log.get_params()
    {'project': 'houses', 'mode': 'offline'}
    """

    def __init__(self, project: str | None = None, **init: Any) -> None:
        self.project = project
        self.arguments = init

    run_id: str | None = None
    _run: Any = None

    def start(self, run: Run) -> None:
        """Open a run whose config holds the settings."""
        self._open(run.settings)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Log the numbers of an epoch."""
        (self._run or self._open({})).log(dict(values), step)

    def close(self, summary: Mapping[str, float]) -> None:
        """Put the last values into the summary and finish the run."""
        run = self._run or self._open({})
        run.summary.update(dict(summary))
        run.finish(exit_code=0 if is_healthy(summary) else 1)
        self._run = None

    def _open(self, settings: Mapping[str, Any]) -> Any:
        try:
            import wandb
        except ImportError:
            raise MissingExtra("wandb", "wandb") from None
        # create_new: a run that is open belongs to somebody else, and is not ours to finish
        init = {"reinit": "create_new", **self.arguments}
        init["config"] = {**settings, **(init.get("config") or {})}
        self._run = wandb.init(project=self.project, **init)
        self.run_id = self._run.id
        return self._run


class MLflow(Writer):
    """Each fit as a run of MLflow; the active run of the process stays as it is.

    Parameters
    ----------
    experiment : str or None
        Made where it is new. None is the environment's MLFLOW_EXPERIMENT_NAME, or "Default".
    tracking_uri : str or None
        Such as "sqlite:///mlflow.db"; None leaves it to MLflow's own settings.

    Attributes
    ----------
    run_id : str or None
        Of the present or last run.

    Raises
    ------
    MissingExtra
        At the start of a run: mlflow is not installed.

    Examples
    --------
    >>> import manumatic as mm
    >>> mm.Watch(log=mm.MLflow("houses", "sqlite:///mlflow.db")).log.experiment
    'houses'
    """

    def __init__(self, experiment: str | None = None, tracking_uri: str | None = None) -> None:
        self.experiment = experiment
        self.tracking_uri = tracking_uri

    run_id: str | None = None
    _client: Any = None

    def start(self, run: Run) -> None:
        """Open a run whose parameters are the settings."""
        client = self._open()
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in run.settings.items()]
        client.log_batch(self.run_id, params=params)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Log the numbers of an epoch."""
        client = self._client or self._open()
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
        client.log_batch(self.run_id, metrics=metrics)
        self._logged |= values.keys()
        self._step = step

    def close(self, summary: Mapping[str, float]) -> None:
        """Log the values that were not logged yet, and say how the run ended."""
        client = self._client or self._open()
        self.log({name: v for name, v in summary.items() if name not in self._logged}, self._step)
        client.set_terminated(self.run_id, "FINISHED" if is_healthy(summary) else "FAILED")
        self._client = None

    def _open(self) -> Any:
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise MissingExtra("mlflow", "mlflow") from None
        client = MlflowClient(self.tracking_uri)
        name = self.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
        known = client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else client.create_experiment(name)
        self.run_id = client.create_run(experiment).info.run_id
        self._logged: set[str] = set()
        self._step = 0
        self._client = client
        return client
