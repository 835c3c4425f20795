"""The workers of a Dask cluster, on which populations are trained with the bits that they have here."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from ..core.elementary import is_within
from ..train.population import is_in_a_task
from .cluster import connected
from .delivery import Delivery


class DaskWorkers:
    """The workers of a Dask cluster, which train the members of a population.

    Give it as ``workers`` to `train_population`, `MLPSearchCV`, ensembles and models of tables. Members go out in
    bundles of about a second's work, each worker gets the data once, and results are taken as they come. They are those
    of training here, to the bit, whatever workers come, go or die. A worker that would compute other bits is an error
    before anything is trained: one with another processor, or other versions of the libraries.

    Parameters
    ----------
    client : distributed.Client, optional
        The client of the cluster; the latest one that was made by default.
    retries : int, default 3
        How often a bundle is given out anew after Dask has given it up, which it does when the workers that train it
        have died four times; and how often in a row all data may be lost.
    same_bits : bool, default True
        Whether all workers have to compute the same bits as this process. Without that, results differ in their last
        digits between kinds of processors.

    Raises
    ------
    ImportError
        When it is used, if Dask is not installed.
    RuntimeError
        When it is used, if a worker would compute other bits, there is none for a minute, or they are lost more often.

    Notes
    -----
    After Ctrl-C, workers stop within an epoch. Results of bundles that have come are kept.

    Examples
    --------
    >>> from distributed import Client  # doctest: +SKIP
    >>> client = Client("tcp://scheduler:8786")  # doctest: +SKIP
    >>> results = train_population(members, X, T, workers=DaskWorkers(client))  # doctest: +SKIP
    """

    def __init__(self, client: Any = None, retries: int = 3, same_bits: bool = True) -> None:
        if not isinstance(retries, int) or not is_within(retries, 0):
            raise ValueError(f"retries is {retries!r}, but it is a whole number of at least 0.")
        self.client, self.retries, self.same_bits = client, retries, same_bits

    def __repr__(self) -> str:
        return f"DaskWorkers({self.client}, retries={self.retries}, same_bits={self.same_bits})"

    def __deepcopy__(self, known: dict[int, Any]) -> Self:
        """Return itself: settings of estimators are copied, and a connection cannot be."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the settings without the connection, in place of which the other process has its own."""
        return type(self), (None, self.retries, self.same_bits)

    def run(self, function: Callable[[Any, Any], Any], bundles: Sequence[Any], data: Any) -> Iterator[tuple[int, Any]]:
        """Yield the place of each bundle and ``function(bundle, data)``, as they come from the workers.

        Parameters
        ----------
        function : callable
            What a worker calls.
        bundles : sequence of Bundle
            The bundles.
        data : object
            What all bundles need.
        """
        with _beside_its_task():
            client = connected(self.client, type(self).__name__)
            yield from Delivery(client, function, bundles, data, self.retries, self.same_bits).results()


@contextmanager
def _beside_its_task() -> Iterator[None]:
    """In a task of Dask, let others use the thread while this one waits for them: all threads may be waiting."""
    if not is_in_a_task():
        yield
        return
    from distributed import rejoin, secede  # pyright: ignore[reportMissingImports]

    secede()
    try:
        yield
    finally:
        rejoin()
