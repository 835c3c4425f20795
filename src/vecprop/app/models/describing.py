"""The description of a model, for ``vecprop info``."""

from typing import Any

from ...files.networks import TrainedNetwork
from ...tables.ensemble.threshold import positive_of
from ...tables.table_model import TRAINED_ANEW, TableModel

WITHOUT_TEST = "There was no test"
"""The beginning of the note on a model whose metrics are of rows of training."""


def described(model: Any, document: dict[str, Any]) -> dict[str, Any]:
    """Return a description of a model, together with the document of its file.

    Examples
    --------
    >>> network = Network(2, [Dense(1)], SquaredError())
    >>> described(TrainedNetwork(network, network.init(seed=0)), {})["model"]
    'TrainedNetwork'
    """
    last: Any = model.steps[-1][1] if hasattr(model, "steps") else model
    said: dict[str, Any] = {"model": type(last).__name__}
    if hasattr(last, "ensemble_"):
        said |= {"target": last.target, "networks": sum(map(len, last.ensembles))}
    if hasattr(last, "classes_"):
        said["classes"] = last.classes_.tolist()
    if (positive := positive_class(last)) is not None:
        said["positive"] = positive
    if hasattr(last, "threshold_"):
        said["threshold"] = last.threshold_
    if notes := [note for note in getattr(last, "notes_", []) if note.startswith((TRAINED_ANEW, WITHOUT_TEST))]:
        said["note"] = notes[-1]
    if document.get("columns"):
        said["columns"] = dict(document["columns"])
    if document.get("metrics"):
        said["metrics"] = document["metrics"]
    said["network"] = str(network_of(last)[0].summary())
    if document.get("written by"):
        said["written by"] = document["written by"]
    return said


def positive_class(model: Any) -> Any:
    """Return the positive class of a classifier of two classes; None for other models."""
    classes = getattr(model, "classes_", ())
    return classes.tolist()[positive_of(model)] if len(classes) == 2 else None


def network_of(model: Any) -> tuple[Any, Any]:
    """Return the network and parameters of a model; of an ensemble, those of the first member."""
    if isinstance(model, TrainedNetwork):
        return model.network, model.theta
    if isinstance(model, TableModel):
        view, *_ = model.ensemble_.views
        return view.network, view.thetas[0]
    return model.network_, model.theta_
