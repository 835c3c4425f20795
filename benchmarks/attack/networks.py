"""Random networks: the bits of any number of threads and any company, the reference engine's numbers, cut training."""

import numpy as np

import vecprop as vp
from draws import Fit, Outcome, fit
from vecprop.system.threads import limit_threads


def attack(rng: np.random.Generator) -> None:
    """Attack a random network."""
    drawn = fit(rng)
    whole = drawn.alone(engine="compiled")
    for threads in (1, 2, 4, 8):
        with limit_threads(threads):
            whole.require_equal(drawn.alone(engine="compiled"), f"{threads} threads")
    whole.require_equal(in_population(drawn, rng), "in a population")
    near_the_reference(drawn, whole, rng)
    cut(drawn, whole, rng)
    predicted(drawn, rng)


def in_population(drawn: Fit, rng: np.random.Generator) -> Outcome:
    """Return the outcome in the company of others."""
    changed = {"epochs": 2, "batch_size": 7, "seed": 1}
    others = [
        Fit(
            drawn.network,
            drawn.theta[::-1].copy(),
            drawn.X,
            drawn.T,
            None,
            drawn.settings | changed,
            drawn.rows,
        ),
        Fit(
            drawn.network,
            drawn.theta / 2,
            drawn.X,
            drawn.T,
            None,
            dict(drawn.settings),
            drawn.rows,
            drawn.seen,
        ),
    ]
    for other in others:
        if other.seen is None:
            other.settings.update(early_stopping=None, validation_score=None)
    members, place = [other.member() for other in others], int(rng.integers(3))
    members.insert(place, drawn.member())
    with limit_threads(int(rng.integers(1, 5))):
        results = vp.train_population(
            members, drawn.X, drawn.T, sample_weight=drawn.weight
        )
    return Outcome.of(lambda: results[place])


def near_the_reference(drawn: Fit, whole: Outcome, rng: np.random.Generator) -> None:
    """Require the numbers of the reference engine; where rounding decides when to stop, those without stopping.

    What rounding may do is measured by the reference engine with parameters that differ
    in their last bits; by many and in a wider type, if a few do not suffice: at a kink,
    rounding within the engine decides.
    """
    reference, settings = drawn.alone(engine="reference"), {}
    stops = drawn.settings["early_stopping"] is not None
    if stops and any(
        whole.values[name] != reference.values[name] for name in ("epoch", "reason")
    ):
        settings = {"early_stopping": None}
        whole, reference = (
            drawn.alone(engine=engine, **settings)
            for engine in ("compiled", "reference")
        )
    for count, units in ((4, 16), (40, 64)):
        noise = 1 + units * np.finfo(drawn.theta.dtype).eps * rng.uniform(
            -1, 1, (count, drawn.theta.size)
        )
        thetas = (drawn.theta * noise).astype(drawn.theta.dtype)
        moved = [
            drawn.alone(engine="reference", theta=theta, **settings) for theta in thetas
        ]
        if count == 40:
            moved.append(drawn.widened().alone(engine="reference", **settings))
        try:
            whole.require_near(reference, moved, "reference")
            return
        except AssertionError:
            if count == 40:
                raise


def cut(drawn: Fit, whole: Outcome, rng: np.random.Generator) -> None:
    """Require that training which is cut after any epoch goes on to the bit."""
    epochs = drawn.settings["epochs"]
    if epochs < 2 or whole.values["reason"] == "diverged":
        return
    end = int(rng.integers(1, epochs))
    begun = drawn.alone(callbacks=[lambda state: state.epoch == end]).result
    if begun.reason == "callback":
        state = begun.state
        rest = drawn.alone(theta=state.theta, state=state, epochs=epochs - end)
        for name in ("theta", "last theta", "reason", "epoch", "step"):
            np.testing.assert_array_equal(
                rest.values[name],
                whole.values[name],
                err_msg=f"cut after {end}: {name}",
            )


def predicted(drawn: Fit, rng: np.random.Generator) -> None:
    """Require that rows are predicted alike alone, in parts and by any number of threads."""
    net, theta = drawn.network, drawn.theta
    X = rng.normal(size=(int(rng.integers(1, 2500)), net.inputs)).astype(theta.dtype)
    predict = vp.compile(net).predictor(theta)
    Y = predict(X)
    for threads in (1, 2, 8):
        with limit_threads(threads):
            np.testing.assert_array_equal(
                predict(X), Y, err_msg=f"predictions of {threads} threads"
            )
    parts = [predict(X[start : start + 512]) for start in range(0, len(X), 512)]
    if len(X) % 512 != 1:
        np.testing.assert_array_equal(
            np.concatenate(parts), Y, err_msg="predictions in parts"
        )
    near = 1e4 * np.finfo(theta.dtype).eps
    few = np.sort(rng.permutation(len(X))[: int(rng.integers(1, 40))])
    np.testing.assert_allclose(
        predict(X[few]),
        Y[few],
        rtol=near,
        atol=near * np.abs(Y).max(),
        err_msg="few rows",
    )
    expected = net.predict(theta, X)
    # Poisson's may be infinite for one engine, and nearly so for the other
    most = np.finfo(theta.dtype).max
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    np.testing.assert_allclose(
        Y.clip(-most, most),
        expected.clip(-most, most),
        rtol=near,
        atol=near * largest,
        err_msg="predictions",
    )
