"""Models with several targets: joint networks with one output for each target, and one calibration for each."""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import clone

from ..core import BinaryCrossEntropy, Dense, Network, SoftmaxCrossEntropy
from .encoding.tags import Tags
from .ensemble.calibration import union
from .ensemble.ensemble import (
    Calibration,
    Ensemble,
    Networks,
    TrainingRows,
    Unseen,
)
from .error import Note, TableError, pandas
from .explaining.column_notes import TrainedRows
from .kinds.kinds import tag_separator
from .kinds.values import texts_of
from .reading.delimited import require_columns
from .reading.frames import Frame

SHARED = {"encoder_", "notes_", "ensemble_", "outer_"}
"""The attributes that the models of all targets have in common, or derive from the
joint networks.
"""


@dataclass(frozen=True, eq=False)
class Head:
    """What a model with several targets has learned about one of them.

    Parameters
    ----------
    target : str or None
        The name of the column.
    learned : dict
        The attributes of a model with this target, without its networks.
    shares, inverse_temperatures : list of list
        The weights and temperatures of the views, by ensemble.
    """

    target: str | None
    learned: dict[str, Any]
    shares: list[list[float]]
    inverse_temperatures: list[list[float | None]]


class SeveralTargets:
    """Learns and calibrates several targets, with the same methods as a model with one target.

    ``models`` contains one model for each target, which reads and calibrates it.
    """

    def __init__(self, model: Any, targets: Frame):
        self.targets = targets
        self.is_classifier = hasattr(model, "predict_proba")
        self.setting = model
        self.models: list[Any] = []
        for name in targets.columns:
            single: Any = clone(model)
            single.target = name
            single.notes_ = model.notes_
            self.models.append(single)

    def _learned(self, target: Any, frame: Frame) -> ndarray:
        self.values = []
        for number, model in enumerate(self.models):
            self.values.append(model._learned(self.targets.iloc[:, number], frame))
        return np.column_stack(self.values)

    def _weighted(self, target: ndarray, weight: ndarray | None) -> ndarray | None:
        if getattr(self.setting, "class_weight", None) is not None:
            raise TableError(
                "class_weight needs one target, because a row has one weight: leave it"
                " out, or fit one model for each target."
            )
        if self.setting._exposure_column is not None:
            raise TableError("exposure needs one target: fit one model for each.")
        return weight

    def _read_target(self, target: ndarray, weight: ndarray | None, ends) -> ndarray:
        """Return the targets of the joint networks, (N, K)."""
        self.T = []
        for model, values in zip(self.models, self.values, strict=True):
            self.T.append(model._read_target(values, weight))
            self._require_two_classes(model)
        # The last column is the number, or the probability of the second class.
        return np.column_stack([T[:, -1] for T in self.T])

    def _require_two_classes(self, model):
        if self.is_classifier and len(model.classes_) != 2:
            raise TableError(
                f"{model._named_target} has {len(model.classes_)} classes, but each of"
                " several targets needs two: fit a separate model for it."
            )

    def _strata(self, target: ndarray, T: ndarray) -> ndarray:
        """Return one number for each row, so that rows with similar targets have similar numbers."""
        if not self.is_classifier:
            return T.mean(axis=1)
        _, combinations = np.unique(T > 0.5, axis=0, return_inverse=True)
        return combinations.reshape(-1)

    def _examine(self, rows, target: ndarray, *, is_sample: bool) -> list[Any]:
        """Note leaks and odd targets, and return the shares of strong columns for each target."""
        shares = []
        for model, values in zip(self.models, self.values, strict=True):
            model.encoder_ = self.setting.encoder_
            model.trained_rows_ = TrainedRows.of(
                model.encoder_, rows.frame, values, rows=len(values)
            )
            shares.append(
                model._examine(
                    rows, values, is_sample=is_sample, subject=repr(model.target)
                )
            )
        return shares

    def _losses(self):
        if self.is_classifier:
            return [BinaryCrossEntropy()]
        losses = [model._losses() for model in self.models]
        if any(other != losses[0] for other in losses):
            raise TableError(
                "The threshold of a Huber loss has the units of one target: use"
                ' loss="huber" for several targets.'
            )
        return losses[0]

    def _calibrated(
        self, ensembles: list[Ensemble], unseen: list[list[Unseen]], rows: TrainingRows
    ) -> Calibration:
        """Calibrate the predictions of each target on out-of-fold predictions."""
        predictions = []
        losses = []
        for number, model in enumerate(self.models):
            rows_of_target = replace(rows, T=self.T[number])
            calibration = model._calibrated(
                ensembles, self._unseen_output(unseen, number), rows_of_target
            )
            vars(model).update(
                calibration.attributes, validation_loss_=calibration.loss
            )
            model._decide(calibration.unseen, rows_of_target)
            unseen_of_target = calibration.unseen
            if self.is_classifier:
                unseen_of_target = unseen_of_target[:, 1]
            predictions.append(unseen_of_target)
            losses.append(calibration.loss)
        attributes = {
            "ensemble_": ensembles[0],
            "_heads": list(map(_head, self.models)),
        }
        if len(ensembles) > 1:
            attributes["outer_"] = ensembles[1:]
        if self.is_classifier:
            attributes["classes_"] = [model.classes_ for model in self.models]
        return Calibration(
            attributes, np.stack(predictions, axis=1), float(np.mean(losses))
        )

    def _unseen_output(
        self, unseen: list[list[Unseen]], number: int
    ) -> list[list[Unseen]]:
        """Return the out-of-fold predictions of one target, by ensemble and view."""
        by_ensemble = []
        for unseen_by_view in unseen:
            by_view = []
            for unseen_by_fold in unseen_by_view:
                by_fold = []
                for indices, Y in unseen_by_fold:
                    Y = output(Y, number, is_label=self.is_classifier)
                    by_fold.append((indices, Y))
                by_view.append(by_fold)
            by_ensemble.append(by_view)
        return by_ensemble

    def refitted_heads(self, heads: list[Head], from_unseen: set[str]) -> list[Head]:
        """Return the heads of a refit, which copies what the original heads learned from out-of-fold predictions."""
        refitted = []
        for model, head in zip(self.models, heads, strict=True):
            learned = _learned_attributes(model)
            for name in from_unseen & head.learned.keys():
                learned[name] = head.learned[name]
            if not self.is_classifier:
                learned["range_"] = union(learned["range_"], head.learned["range_"])
            refitted.append(replace(head, learned=learned))
        return refitted

    def _decide(self, unseen: ndarray, rows: TrainingRows):
        """Do nothing, because each model has chosen its threshold."""

    def _note_strong_columns(self, shares: list[Any], T: ndarray, unseen: ndarray):
        for number, model in enumerate(self.models):
            model._note_strong_columns(
                shares[number],
                self.T[number],
                unseen[:, number],
                subject=repr(model.target),
            )
        notes = self.setting.notes_
        notes[:] = dict.fromkeys(notes)  # several models have the same notes


def _learned_attributes(model) -> dict[str, Any]:
    """Return the attributes that differ between the models of several targets."""
    learned = {}
    for name, value in vars(model).items():
        if name not in model.get_params(deep=False) and name not in SHARED:
            learned[name] = value
    return learned


def _head(model) -> Head:
    """Return what a model has learned about its target."""
    shares = []
    inverse_temperatures = []
    for ensemble in model._ensembles:
        shares.append([view.share for view in ensemble.views])
        inverse_temperatures.append(
            [view.inverse_temperature for view in ensemble.views]
        )
    return Head(
        model.target,
        _learned_attributes(model),
        shares=shares,
        inverse_temperatures=inverse_temperatures,
    )


def learner_of(model: Any, target: Any) -> Any:
    """Return what learns a target: the model itself, or `SeveralTargets` for several targets or tags."""
    if model._has_tags:
        model._tags, notes = learned_tags(target, model._named_target)
        model.notes_ += notes
        target = indicators(model._tags, target)
    if isinstance(target, pandas().DataFrame):
        return SeveralTargets(model, target)
    return model


def true_targets(model: Any, frame: Frame, y: Any = None) -> Frame:
    """Return the true values of several targets: y, or by default the columns of a table."""
    if y is not None:
        return pandas().DataFrame(y)
    require_columns(frame, model._target_names)
    if model._has_tags:
        return indicators(model._tags, frame[model.target])
    return frame[model._target_names]


def learned_tags(series: Any, named_target: str) -> tuple[Tags, list[str]]:
    """Learn the tags of a target, and return them with notes on rare tags."""
    notes = []
    texts = texts_of(series)
    tags = Tags.of(series, tag_separator(texts) or ";")
    rare = tags.misfit(series)
    if rare is not None:
        notes.append(
            Note(
                f"{named_target} has tags in fewer than 2 rows, which are not"
                f" predicted, such as {', '.join(rare.names)}.",
                "unused",
            )
        )
    is_in_all_rows = tags(series)[:, :-1].all(axis=0)
    if is_in_all_rows.any():
        names = tags.names[is_in_all_rows].tolist()
        notes.append(
            Note(
                f"{named_target} has tags in all rows, which are not predicted:"
                f" {', '.join(map(repr, names))}.",
                "unused",
            )
        )
        tags = replace(tags, names=tags.names[~is_in_all_rows])
    if len(tags.names) < 2:
        raise TableError(
            f"{named_target} has fewer than two tags that occur in some rows only: separate"
            " the tags of a row by semicolons."
        )
    return tags, notes


def indicators(tags: Tags, series: Any) -> Frame:
    """Return a column for each tag, which is 1 in rows with this tag, and missing in rows without a target."""
    inputs = tags.of_values(tags.read(series))[:, :-1]
    columns = [f"{series.name}: {name}" for name in tags.names.tolist()]
    frame = pandas().DataFrame(inputs.astype(int), index=series.index, columns=columns)
    return frame.where(series.notna(), other=None, axis=0)


def output(Y: ndarray, number: int, is_label: bool) -> ndarray:
    """Return one output of joint networks, (..., 1), or for a label the probabilities of both classes, (..., 2)."""
    Y = Y[..., number, None]
    if is_label:
        return np.concatenate([1 - Y, Y], axis=-1)
    return Y


def _of_target(unseen: ndarray, number: int, is_label: bool) -> ndarray:
    """Return the out-of-fold predictions of one target as its model stores them."""
    if is_label:
        return output(unseen, number, is_label)
    return unseen[:, number]


def single_models(model: Any) -> list[Any]:
    """Return a fitted model for each target, whose networks have only the output of this target."""
    is_label = hasattr(model, "predict_proba")
    models = []
    for number, head in enumerate(model._heads):
        single = copy(model)
        attributes = vars(single)
        for name in ("_heads", "_tags", "models_", "feature_importances_"):
            attributes.pop(name, None)
        attributes.update(head.learned, target=head.target)
        if "out_of_fold_" in attributes:  # model files do not contain it
            attributes["out_of_fold_"] = _of_target(
                model.out_of_fold_, number, is_label
            )
        ensembles = []
        settings = zip(
            model._ensembles, head.shares, head.inverse_temperatures, strict=True
        )
        for joint, shares, inverse_temperatures in settings:
            views = [
                _networks_of_output(view, number, is_label) for view in joint.views
            ]
            ensembles.append(Ensemble(views).with_shares(shares, inverse_temperatures))
        single.ensemble_ = ensembles[0]
        if len(ensembles) > 1:
            single.outer_ = ensembles[1:]
        models.append(single)
    return models


def _networks_of_output(joint: Networks, number: int, is_label: bool) -> Networks:
    """Return networks with one output of joint networks.

    The logistic output z of a label becomes the second logit of a softmax whose first
    logit is 0, because 1 / (1 + exp(-z)) = exp(z) / (exp(0) + exp(z)).
    """
    *hidden_layers, _ = joint.network.layers
    outputs = 1
    loss = joint.network.loss_function
    if is_label:
        outputs = 2
        loss = SoftmaxCrossEntropy()
    network = Network(joint.network.inputs, [*hidden_layers, Dense(outputs)], loss)
    thetas = np.zeros((len(joint.thetas), network.layout.size), joint.thetas.dtype)
    *hidden, last = network.layout.views(thetas)
    *joint_hidden, joint_last = joint.network.layout.views(joint.thetas)
    for parameters, trained in zip(hidden, joint_hidden, strict=True):
        for name in parameters:
            parameters[name][...] = trained[name]
    for name in last:
        last[name][..., -1] = joint_last[name][..., number]
    return replace(joint, network=network, thetas=thetas)


def combined_predictions(model: Any, inputs: ndarray) -> ndarray:
    """Return the prediction of each target, (N, K), or the probability of its second class, for encoded inputs."""
    is_label = hasattr(model, "predict_proba")
    by_view = [list(view.predictions(inputs)) for view in model.ensemble_.views]
    predictions = []
    for number, single in enumerate(model.models_):
        by_fold = []
        for joint in zip(*by_view, strict=True):
            outputs = [output(Y, number, is_label) for Y in joint]
            by_fold.append(single.ensemble_.average(outputs))
        Y = single._combined(by_fold)
        predictions.append(Y[:, 1] if is_label else Y)
    return np.stack(predictions, axis=1)
