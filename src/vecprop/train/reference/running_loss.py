"""The running loss: the mean over an epoch's batches, each at the parameters before its step."""

from ...core.elementary import Array, namespace
from ...core.inputs import Batch
from ...core.network import Network


class RunningLoss:
    """The sum of an epoch's rows' losses so far, divided as the loss of all rows is, and the penalties' mean."""

    def __init__(self, network: Network, batch: Batch) -> None:
        self.network = network
        self.whole = batch
        self.total: Array | None = None  # no batch met yet

    def meet(self, loss: Array, theta: Array, batch: Batch) -> None:
        """Add the loss of a batch at theta."""
        mean = self.network.reduction == "mean"
        share = batch.rows / self.whole.rows
        if mean and batch.weight is not None:
            xp = namespace(batch.weight)
            share = xp.sum(batch.weight, axis=-1) / xp.sum(self.whole.weight, axis=-1)
        penalty = self.network.penalty(theta, batch) if self.network.penalties else 0.0
        part = (loss - penalty) * (share if mean else 1) + penalty * share
        self.total = part if self.total is None else self.total + part

    def close(self, theta: Array) -> Array | None:
        """Return the epoch's loss, NaN if theta is not finite, and start the next sum; None before the first epoch."""
        total, self.total = self.total, None
        if total is None:
            return None
        xp = namespace(theta)
        return xp.where(xp.all(xp.isfinite(theta), axis=-1), total, xp.nan)
