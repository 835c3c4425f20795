"""The rule that ends training when a loss gets no better: one for arrays of members, kernels and estimators."""


def observed(
    loss: float, lowest: float, progress_at: float, stalled: float, tolerance: float, from_lowest: bool
) -> tuple[float, float, float]:
    """Return what is remembered after a loss: the lowest, that of the latest progress, and the epochs since then.

    The kernels of `compiled.epochs` are compiled from this source, so it takes numbers and knows nothing but them.

    Parameters
    ----------
    loss : float
        The loss after an epoch; a score counts by its negative.
    lowest, progress_at, stalled : float
        What is remembered so far.
    tolerance : float
        By how much the loss must be lower to be progress.
    from_lowest : bool
        Lower than what: than the lowest loss, or than that of the latest progress. From the lowest it may be lower by
        just the tolerance, and a loss that is not a number counts as progress, as in scikit-learn.

    Examples
    --------
    >>> observed(2.0, lowest=3.0, progress_at=3.0, stalled=4.0, tolerance=0.5, from_lowest=False)
    (2.0, 2.0, 0.0)
    >>> observed(2.8, lowest=3.0, progress_at=3.0, stalled=4.0, tolerance=0.5, from_lowest=False)
    (2.8, 3.0, 5.0)
    """
    progresses = not loss > lowest - tolerance if from_lowest else loss < progress_at - tolerance
    if loss < lowest:
        lowest = loss
    return lowest, loss if progresses else progress_at, 0.0 if progresses else stalled + 1.0
