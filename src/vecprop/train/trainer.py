"""The function `train`, and the choice of an engine.

Set ``VECPROP_ENGINE=reference`` to step through a fit in a debugger: engine="auto" then
selects plain Python.
"""

import os
import warnings
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np

from ..core import (
    Array,
    Batch,
    Network,
    Score,
    checked_theta,
    meanings,
    namespace,
    suggests_keywords,
)
from ..optimize import (
    LBFGS,
    EarlyStopping,
    EngineName,
    Optimizer,
    Schedule,
    TrainingLoss,
    TrainingSettings,
)
from ..system.suggestions import wrong_part
from .compiled import Compiled, missing
from .engine import Engine
from .quasi_newton import LBFGSRun, Objective
from .reference import Reference
from .run import Callback, RowSource, Run, Steps, held, train_runs
from .state import TrainingResult, TrainingState

ENGINE_CLASSES: dict[str, type[Engine]] = {"compiled": Compiled, "reference": Reference}

_warned: set[str] = set()  # reasons for which a warning was already issued


def engine_for(
    network: Network,
    theta: Array,
    batches: Iterable[Batch] = (),
    optimizer=None,
    name: EngineName = "auto",
    *,
    score: str | None = None,
    silent: bool = False,
) -> Engine:
    """Return the fastest engine that supports these arguments, or the named engine.

    Warn if a custom part needs the slower engine, unless `silent` is set. If no kernel
    can run at all, warn once per process.
    """
    default = os.environ.get("VECPROP_ENGINE") or "auto"
    if default not in ("auto", "reference"):
        raise ValueError(
            f'VECPROP_ENGINE must be "auto" or "reference", got {default!r}.'
        )
    if name == "auto":
        name = default
    engine_class = ENGINE_CLASSES["compiled" if name == "auto" else name]
    unsupported = engine_class.unsupported_reason(
        network, theta, batches, optimizer, score=score
    )
    if unsupported is None:
        if not silent:
            for reason in engine_class.called_formulas(network, theta):
                warnings.warn(
                    f"Training calls a formula in Python, which is slower: {reason}.",
                    stacklevel=4,
                )
        return engine_class(network)
    if name != "auto":
        raise ValueError(
            f"The {name} engine cannot train this network: {unsupported.reason};"
            ' use train with engine="auto".'
        )
    if unsupported.warns:
        _warn_of_slow_engine(unsupported.reason, silent)
    return Reference(network)


def _warn_of_slow_engine(reason: str, silent: bool):
    """Warn that a network has no kernels, unless `silent`, or once that no kernel can run."""
    problem = missing()
    if problem is None and not silent:
        warnings.warn(
            f"Training on the reference engine, which is slower: {reason}.",
            stacklevel=6,
        )
    if problem is not None and problem not in _warned:
        _warned.add(problem)
        warnings.warn(
            f"Computing on the reference engine, which is slower: {problem}.",
            stacklevel=6,
        )


def can_compile() -> bool:
    """Return whether kernels can run: their dependencies work, and VECPROP_ENGINE is not "reference"."""
    return os.environ.get("VECPROP_ENGINE") != "reference" and missing() is None


@suggests_keywords
def train(
    network: Network,
    theta: Array,
    X: Array,
    T: Array,
    *,
    optimizer: Optimizer | LBFGS,
    epochs: int = 300,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    sample_weight: Array | None = None,
    validation: tuple[Array, ...] | None = None,
    validation_score: Score | None = None,
    training_loss: TrainingLoss = "auto",
    schedule: Schedule | None = None,
    early_stopping: EarlyStopping | None = None,
    clip_norm: float | None = None,
    callbacks: Sequence[Callback] = (),
    engine: EngineName = "auto",
    state: TrainingState | None = None,
    checkpoint: Any = None,
) -> TrainingResult:
    """Train a network, or all members of theta at once.

    Parameters
    ----------
    network : Network
        The network.
    theta : array (*M, P)
        The initial parameters. This array is not changed.
    X : array (*M, N, I)
        The inputs.
    T : array
        The targets, in the form that the network's loss expects.
    optimizer : Optimizer or LBFGS
        The optimizer.
    epochs : int, default 300
        The number of passes over the rows. For LBFGS, it is the maximum number of
        iterations.
    batch_size : int, optional
        The number of rows in a step. By default, a step uses all rows in the given
        order. The last batch may be smaller.
    shuffle : bool, default True
        Whether to shuffle the rows before each epoch.
    seed : int, default 0
        The random seed of the row order and of the dropout masks.
    sample_weight : array (*M, N), optional
        The weights of the rows.
    validation : tuple (X, T) or (X, T, sample_weight), optional
        The validation rows. The validation loss is measured before the first epoch and
        after each epoch.
    validation_score : str, optional
        A score to measure on the validation rows in addition to their loss; larger is
        better: {scores}.
    training_loss : {"auto", "exact", "running"}, default "auto"
        The training loss in the history. "exact" is the loss of all rows, measured
        before the first epoch and after each epoch. With mini-batches, the exact loss
        needs another pass over the rows. "running" is the mean of the losses of the
        batches of an epoch, and costs no time. "auto" is "exact" for full batches and
        "running" for mini-batches. L-BFGS always measures the exact loss.
    schedule : Schedule, optional
        The factor of the learning rate at each step. The default factor is 1.
    early_stopping : EarlyStopping, optional
        The rule that ends training when a loss stops decreasing, or the validation
        score stops increasing.
    clip_norm : float, optional
        The largest norm of a gradient. Larger gradients are scaled down to this norm,
        separately for each member.
    callbacks : sequence of callable
        Functions that `train` calls with the `TrainingState` after each epoch. If a
        callback returns True, training ends. If a callback is a context manager,
        `train` enters it before the first epoch and exits it after the last epoch. If a
        callback has an attribute ``interval``, `train` may call it only once every
        ``interval`` epochs, which is faster if epochs are short.
    engine : {"auto", "compiled", "reference"}, default "auto"
        "compiled" runs machine code, and "reference" runs NumPy. The results of both
        engines agree up to rounding. "auto" selects "compiled" for NumPy arrays of
        float32 or float64. It calls the formulas of custom layers, losses and penalties
        that cannot be compiled; see `vecprop.compile`. If an optimizer cannot be
        compiled, a warning gives the reason, and "auto" selects "reference".
        "auto" selects "reference" if X, T or sample_weight have members, or if the
        environment variable ``VECPROP_ENGINE`` is "reference". Members are
        bit-identical to members of `train_population` with the same seed.
    state : TrainingState, optional
        ``result.state`` of an earlier call, to continue from.
    checkpoint : Checkpoint, optional
        The file for the training state. If the process is killed or fails, the same
        call resumes from this file.

    Returns
    -------
    TrainingResult
        The trained theta, the history, the state, and the reason why training ended.
        After Ctrl-C, `train` returns the result of the last complete epoch. If you
        continue from this result, the outcome is bit-identical to an uninterrupted run.
        If you press Ctrl-C before the first losses are measured, or a second time,
        KeyboardInterrupt is raised. Exceptions of signal handlers or from other threads
        are raised between two batches.

    Raises
    ------
    DivergenceError
        If a loss or gradient is not finite. The attribute ``result`` of the error
        contains the last parameters with a finite loss.
    ValueError, TypeError
        If an argument is out of range or does not fit the network.

    Examples
    --------
    >>> import numpy as np
    >>> from vecprop import Dense, Momentum, Network, SquaredError, train
    >>> network = Network(1, [Dense(1)], SquaredError())
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> result = train(network, np.zeros(2), X, 3 * X + 1, optimizer=Momentum(0.1), epochs=200)
    >>> result.theta.round(3)
    array([3., 1.])
    >>> len(result.history.loss)
    201
    """
    theta = checked_theta(network, theta)
    settings = TrainingSettings(
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_score=validation_score,
        training_loss=training_loss,
        schedule=schedule,
        early_stopping=early_stopping,
        clip_norm=clip_norm,
        engine=engine,
    )
    settings.check(network, theta, validation is not None)
    check_callbacks(callbacks, state, checkpoint)
    if isinstance(optimizer, LBFGS):
        if state is not None or checkpoint is not None:
            raise ValueError("LBFGS cannot resume: omit checkpoint and state.")
    elif state is not None and state.under_way:
        raise ValueError(
            "The state comes from the middle of an epoch of train_blocks: continue with"
            " train_blocks."
        )
    rows = ArrayRows(network, theta, settings, (X, T, sample_weight), validation)
    return train_on(
        rows,
        network,
        settings,
        callbacks=callbacks,
        state=state,
        checkpoint=checkpoint,
    )


train.__doc__ = (train.__doc__ or "").replace(
    "{scores}", ";\n        ".join(meanings())
)


class ArrayRows(RowSource):
    """Rows in memory, which are one window of all epochs."""

    def __init__(
        self,
        network: Network,
        theta: Array,
        settings: TrainingSettings,
        arrays: Sequence,
        validation: Sequence | None,
    ):
        """Check the rows, X, T and sample weights, and choose the engine."""
        # the steps check whether X is finite
        self.batch = network._batch(theta, *arrays, finite=False, as_read=True)
        require_real("X", self.batch.X)
        require_real("T", self.batch.T)
        members = self.batch.members
        xp = namespace(theta)
        # if only the data have members, all start from the same parameters
        if members != theta.shape[:-1]:
            members = np.broadcast_shapes(theta.shape[:-1], members)
            theta = xp.broadcast_to(theta, (*members, theta.shape[-1]))
        self.theta = xp.asarray(theta, copy=True)
        batches = [self.batch]
        if validation is not None:
            self.validation_batch = checked_validation(
                network, self.theta, validation, settings
            )
            batches.append(self.validation_batch)
        self.engine = engine_for(
            network,
            self.theta,
            batches,
            settings.optimizer,
            settings.engine,
            score=settings.validation_score,
        )
        self.rows = self.batch.rows
        self.identity = {"engine": self.engine.name}

    def steps(self, run: Run) -> Steps:
        """Return the steps of the engine, or of L-BFGS."""
        if isinstance(run.settings.optimizer, LBFGS):
            return Objective(run, self.batch, self.engine)
        return self.engine.steps_class(run, self.batch)

    def windows(self, runs: Sequence[Run]) -> Generator[list[Batch]]:
        """Yield all rows."""
        yield [self.batch]


def train_on(
    source: RowSource,
    network: Network,
    settings: TrainingSettings,
    *,
    checkpoint: Any = None,
    **arguments,
) -> TrainingResult:
    """Train one run on the rows of a source, with the arguments of `Run`."""
    run_class = LBFGSRun if isinstance(settings.optimizer, LBFGS) else Run
    with held(checkpoint, is_folder=False):
        run = run_class(network, settings, source, checkpoint=checkpoint, **arguments)
        if run.result is not None:
            return run.result
        return train_runs([run], source.windows([run]))[0]


def require_real(name: str, values):
    """Raise TypeError if a dense or sparse array has complex entries."""
    dtype = values.dtype
    if getattr(dtype, "kind", "") == "c" or getattr(dtype, "is_complex", False):
        raise TypeError(f"{name} has dtype {dtype}, but training takes real numbers.")


def check_callbacks(callbacks, state, checkpoint):
    """Raise an error if callbacks, state or checkpoint are invalid."""
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise TypeError(
            f"callbacks must be a list of functions, got {callbacks!r}; pass a"
            " Checkpoint as checkpoint=."
        )
    for number, callback in enumerate(callbacks):
        if isinstance(callback, type):
            raise TypeError(wrong_part(f"Callback {number}", callback, "a function"))
        interval = getattr(callback, "interval", 1)
        if not isinstance(interval, int | float | np.number) or not interval >= 1:
            raise ValueError(
                f"The interval of {callback!r} must be at least 1 epoch, got"
                f" {interval!r}."
            )
    if state is not None and not isinstance(state, TrainingState):
        raise TypeError(
            "state must be a TrainingState, such as result.state of an earlier call,"
            f" got {state!r}."
        )
    if checkpoint is None:
        return
    has_method = callable(getattr(checkpoint, "_begin", None))
    if isinstance(checkpoint, type) or not has_method:
        expected = 'a Checkpoint, such as Checkpoint("run.npz")'
        raise TypeError(wrong_part("checkpoint", checkpoint, expected))
    if state is not None:
        raise ValueError("A checkpoint already contains the state: omit state.")


def checked_validation(
    network: Network,
    theta: Array,
    validation: Sequence,
    settings: TrainingSettings,
) -> Batch:
    """Return the validation rows as a batch; raise an error if they are invalid."""
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise ValueError("validation must be a tuple (X, T) or (X, T, sample_weight).")
    try:
        batch = network._batch(theta, *validation, as_read=True)
    except (TypeError, ValueError) as error:
        raise type(error)(f"In the validation data: {error}") from None
    members = tuple(theta.shape[:-1])
    if np.broadcast_shapes(batch.members, members) != members:
        raise ValueError(
            f"The validation data have members of shape {batch.members}, but theta has"
            f" {members}."
        )
    settings.check_score(batch)
    return batch
