"""Bundles that are trained by any workers are bit-identical to a local population."""

import pickle
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import alike_members as of
import vecprop as vp
from vecprop.train.members import Data
from vecprop.train.population.bundles import bundles_of
from vecprop.train.population.local import Population


class Elsewhere:
    """Workers that receive pickles and return pickles, in any order."""

    def __init__(self, seed=0, most=None):
        self.seed, self.most, self.closed, self.sizes = seed, most, 0, []

    def run(self, function, bundles, data):
        order = list(range(len(bundles)))
        random.Random(self.seed).shuffle(order)
        data = pickle.loads(pickle.dumps(data))
        try:
            for place in order[: self.most]:
                function, bundle = pickle.loads(
                    pickle.dumps((function, bundles[place]))
                )
                result = pickle.dumps(function(bundle, data))
                self.sizes.append((len(bundle.numbers), len(result)))
                yield place, pickle.loads(result)
        finally:
            self.closed += 1


@pytest.fixture
def small(limit):
    """Bundles of at most three members."""
    limit("bundle: members", 3)


@pytest.mark.usefixtures("small")
def test_members_are_bit_identical_to_a_local_population():
    here, workers = vp.train_population(of.MEMBERS, of.X, of.T), Elsewhere()
    results = vp.train_population(of.MEMBERS, of.X, of.T, workers=workers)
    np.testing.assert_array_equal(results.last_loss, here.last_loss)
    for member, found, expected in zip(of.MEMBERS, results, here, strict=True):
        of.assert_equal(found, expected)
        assert found.state.network is (
            member.network if expected.state.network is not None else None
        )
        assert found.state.early_stopping.keys() == expected.state.early_stopping.keys()
    assert len(workers.sizes) > 5
    assert workers.closed == 1


def divided(members, X=of.X, T=of.T):
    population = Population(members, Data(X, T, None), "auto")
    found, shared = bundles_of(population, population.groups(), moments=True)
    return [bundle.numbers for bundle in found], shared


def test_bundles_have_about_a_second_of_work_and_keep_groups_together():
    half = np.arange(0, of.N, 2)
    members = [
        of.member(
            seed=seed,
            optimizer=vp.Momentum(0.1 * (1 + seed % 2)),
            epochs=200,
            batch_size=4,
            rows=half,
        )
        for seed in range(600)
    ]
    found, shared = divided(members)
    assert found == divided(members)[0]
    assert sorted(number for numbers in found for number in numbers) == list(range(600))
    # of one group
    assert all(len({number % 2 for number in numbers}) == 1 for numbers in found)
    assert [len(numbers) for numbers in found] == [150] * 4
    # rows are pickled once
    assert len(pickle.dumps(shared)) < of.X.nbytes + of.T.nbytes + half.nbytes + 2_000
    long = [of.member(epochs=10**6), *members[:3]]
    assert divided(long)[0] == [[0], [1, 3, 2]]  # the most work first


def test_a_bundle_and_its_results_are_small():
    members = [
        of.member(of.network(width=8), seed, np.float32, vp.Adam(0.01), epochs=30)
        for seed in range(200)
    ]
    bare, whole = Elsewhere(), Elsewhere()
    results = vp.train_population(members, of.X, of.T, workers=bare, moments=False)
    vp.train_population(members, of.X, of.T, workers=whole)
    size = np.asarray(members[0].theta).nbytes
    population = Population(members, Data(of.X, of.T, None), "auto")
    found, _ = bundles_of(population, population.groups(), moments=True)
    # equal networks and optimizers only once
    assert len(pickle.dumps(found)) < 200 * (size + 250)
    assert bare.sizes[0][1] < 200 * (size + 900)
    assert whole.sizes[0][1] - bare.sizes[0][1] == pytest.approx(
        2 * 200 * size, rel=0.02
    )
    with pytest.raises(ValueError, match="The state comes from an optimizer with"):
        vp.train(
            members[0].network,
            members[0].theta,
            of.X,
            of.T,
            optimizer=vp.Adam(0.01),
            state=results[0].state,
        )
    for found, expected in zip(
        results, vp.train_population(members, of.X, of.T, moments=False), strict=True
    ):
        of.assert_equal(found, expected)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("bad", "pattern"),
    [
        (
            of.member(epochs=-1),
            "In member 7: epochs must be an integer of at least 0, got -1",
        ),
        (
            replace(of.member(), theta=np.full(43, np.nan)),
            "In member 7: theta is not finite",
        ),
        (of.member(rows=[of.N]), "In member 7: rows has indices from 120"),
    ],
)
def test_an_invalid_member_is_named_before_training(bad, pattern):
    workers = Elsewhere()
    with pytest.raises(ValueError, match=pattern):
        vp.train_population([*of.MEMBERS[:7], bad], of.X, of.T, workers=workers)
    assert not workers.closed


@pytest.mark.usefixtures("small")
def test_an_error_in_a_bundle_names_the_member():
    members: list[Any] = [
        *[of.member(epochs=1)] * 4,
        of.member(optimizer=of.Failing(0.1)),
    ]
    workers = Elsewhere()
    with pytest.raises(ValueError, match="In member 4: deep in my code"):
        vp.train_population(members, of.X, of.T, engine="reference", workers=workers)
    assert workers.closed == 1


@pytest.mark.usefixtures("small")
def test_ctrl_c_and_progress_keep_received_results():
    class Pressed(Elsewhere):
        def run(self, function, bundles, data):
            yield from super().run(function, bundles, data)
            raise KeyboardInterrupt

    members = [of.member(seed=seed) for seed in range(8)]
    here = vp.train_population(members, of.X, of.T)
    seen = []

    def stop(progress):
        seen.append(progress)
        return len(seen) == 2

    for workers, progress in ((Pressed(most=2), None), (Elsewhere(), stop)):
        results = vp.train_population(
            members, of.X, of.T, workers=workers, progress=progress
        )
        done = [result.reason == "epochs" for result in results]
        assert sum(done) in (5, 6)
        for one, whole, member, is_done in zip(
            results, here, members, done, strict=True
        ):
            if is_done:
                of.assert_equal(one, whole)
            else:
                assert one.reason == "interrupted"
                np.testing.assert_array_equal(one.theta, member.theta)
        assert workers.closed == 1
    assert [(each.members, each.rows) for each in seen] == [
        (8, 6 * of.N * each.ended) for each in seen
    ]
    with pytest.raises(KeyboardInterrupt):
        vp.train_population(members, of.X, of.T, workers=Pressed())


@pytest.mark.usefixtures("small")
def test_missing_results_of_workers_are_reported():
    with pytest.raises(RuntimeError, match="The workers returned no results for"):
        vp.train_population(
            [of.member(seed=k) for k in range(8)], of.X, of.T, workers=Elsewhere(most=2)
        )
    with pytest.raises(TypeError, match=r"workers must be DaskWorkers.* got 4"):
        vp.train_population([of.member()], of.X, of.T, workers=4)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("optimizer", [vp.Adam(0.01), vp.LBFGS()])
@pytest.mark.parametrize("F", [np.float32, np.float64])
def test_seeds_are_turned_into_parameters_by_the_workers(optimizer, F, tmp_path):
    network, X = (
        vp.Network(4, [vp.Dense(2_000), vp.Tanh(), vp.Dense(3)], vp.SquaredError()),
        of.X.astype(F),
    )
    members = [vp.Member(network, seed, optimizer, epochs=1) for seed in range(8)]
    drawn = [
        replace(member, theta=network.init(seed, F))
        for seed, member in enumerate(members)
    ]
    population = Population(members, Data(X, of.T, None), "auto")
    own, _ = bundles_of(population, [list(range(8))], moments=False)
    assert len(pickle.dumps(own)) < 4_000
    expected, kept = (
        vp.train_population(drawn, X, of.T),
        vp.Checkpoint(tmp_path / "kept"),
    )
    for workers, checkpoint in ((None, None), (Elsewhere(), kept), (None, kept)):
        results = vp.train_population(
            members, X, of.T, workers=workers, checkpoint=checkpoint
        )
        for found, own in zip(results, expected, strict=True):
            of.assert_equal(found, own)
    with pytest.raises(ValueError, match="In member 1: expected non-negative"):
        vp.train_population(
            [members[0], replace(members[1], theta=-1)], X, of.T, workers=Elsewhere()
        )
