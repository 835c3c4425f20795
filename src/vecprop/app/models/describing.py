"""What is to be said of a model."""

from typing import Any

from ...files.trained import TrainedNetwork
from ...tables.table_model import TableModel


def described(model: Any, document: dict[str, Any]) -> dict[str, Any]:
    """Return what a model is and what its file says of it.

    Parameters
    ----------
    model : TrainedNetwork, estimator or Pipeline
        The model.
    document : dict
        What `vecprop.files.model_file.information` returns of its file.

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
    if document.get("columns"):
        said["columns"] = dict(document["columns"])
    if document.get("metrics"):
        said["metrics"] = document["metrics"]
    said["network"] = str(network_of(last)[0].summary())
    if document.get("written by"):
        said["written by"] = document["written by"]
    return said


def network_of(model: Any) -> tuple[Any, Any]:
    """Return a model's network and parameters; of an ensemble the first member's."""
    if isinstance(model, TrainedNetwork):
        return model.network, model.theta
    if isinstance(model, TableModel):
        return model.ensemble_.network, model.ensemble_.thetas[0]
    return model.network_, model.theta_
