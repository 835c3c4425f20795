"""How training went: sizes and times, the losses of each network, and whether its gradients are right."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ... import check_gradients
from ..models.checking import ROWS, network_rows
from ..models.describing import network_of
from ..training.train_on_table import Trained
from .losses import begun, draw_losses
from .markup import Html, element, folded, join
from .svg import picture


def training(trained: Trained, result: dict[str, Any]) -> Html:
    """Return the sizes and times of training, its losses, and a gradient check."""
    rows, seconds = result["rows"], result["seconds"]
    told = (
        f"{result['networks']} networks with {result['parameters']:,} parameters in all learned from {rows['train']:,} "
        f"rows in {seconds['training']:.1f} s. Each leaves out some rows, whose loss is its validation loss, and keeps "
        "the parameters with which it is lowest."
    )
    curves = begun(trained.model)
    drawn = [picture("The losses of each network, up to its last epoch.", draw_losses, curves)] if curves else []
    return join([element("p", told), *drawn, _gradients(trained)])


def _gradients(trained: Trained) -> Html:
    """Return the verdict of a gradient check on rows of training as a line, with the whole report behind it."""
    model, parts, target = trained.model, trained.parts, trained.request.target
    rows = np.unique(np.linspace(0, len(parts.y) - 1, ROWS).astype(int))
    X = parts.X.iloc[rows]
    inputs, T = network_rows(model, X, X.assign(**{target: parts.y[rows]}), target)
    with threadpool_limits(1, "blas"):  # which is faster for products this small
        report = check_gradients(*network_of(model), inputs, T, method="directions").text()
    verdict = report.rpartition("\n\n")[2].partition("\n")[0]
    return folded(f"The gradients of the first network: {verdict}", element("pre", report))
