import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vecprop.core.counter_rng import (
    GOLDEN,
    counter_bits,
    counter_uniform,
    mix,
    permutation,
)
from vecprop.extend import RandomKey

SEEDS = st.integers(-(2**70), 2**70)


@given(seed=SEEDS, epoch=st.integers(0, 10**6), rows=st.integers(0, 200))
def test_permutations_permute(seed, epoch, rows):
    order = permutation(seed, epoch, rows)
    assert sorted(order.tolist()) == list(range(rows))
    assert (order == permutation(seed, epoch, rows)).all()


def test_permutations_differ_from_epoch_to_epoch_and_seed_to_seed():
    orders = {
        tuple(permutation(seed, epoch, 20).tolist())
        for seed in range(20)
        for epoch in range(20)
    }
    assert len(orders) == 400


def test_positions_of_rows_are_uniform():
    places = np.zeros((5, 5))
    for epoch in range(2000):
        places[np.arange(5), permutation(0, epoch, 5)] += 1
    assert np.abs(places / 400 - 1).max() < 0.22  # five deviations of a binomial count


@given(
    seed=SEEDS, counts=st.lists(st.integers(0, 2**40), max_size=3), n=st.integers(1, 20)
)
def test_a_number_does_not_depend_on_other_counters(seed, counts, n):
    alone = [counter_bits(seed, *counts, i)[0] for i in range(n)]
    assert (counter_bits(seed, *counts, np.arange(n)) == alone).all()


def test_uniform_numbers_are_uniform_and_uncorrelated():
    u = counter_uniform(3, np.arange(300)[:, None], np.arange(300))
    assert np.abs(np.histogram(u, 20)[0] / 4500 - 1).max() < 0.1
    other = counter_uniform(4, np.arange(300)[:, None], np.arange(300))
    for a, b in [(u[1:], u[:-1]), (u[:, 1:], u[:, :-1]), (u, other)]:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_bits_of_splitmix64():
    """The first numbers equal the reference stream with seed 0."""
    states = np.arange(1, 4, dtype=np.uint64) * np.uint64(GOLDEN)
    assert [int(x) for x in mix(states)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_noise_depends_only_on_seed_step_layer_and_row():
    noise = RandomKey(seed=1, step=2, layer=3)
    u = noise.uniform(5, 4)
    assert (
        RandomKey(1, 2, rows=np.array([4, 0]), layer=3).uniform(2, 4) == u[[4, 0]]
    ).all()
    assert (noise.uniform(3, 2) == u[:3, :2]).all()
    for other in (
        RandomKey(2, 2, layer=3),
        RandomKey(1, 3, layer=3),
        noise._at_layer(2),
    ):
        assert not (other.uniform(5, 4) == u).any()
    split = [
        noise.split(0),
        noise.split(1),
        noise.split(0).split(0),
        noise.split(0).split(1),
    ]
    split.append(noise._at_layer(2).split(0))
    # row indices are not negative
    of_part = counter_uniform(1, 1, 2, 3, -1 - 6, np.arange(5)[:, None], np.arange(4))
    assert (noise.split(6).uniform(5, 4) == of_part).all()
    drawn = [key.uniform(5, 4) for key in (noise, *split)]
    assert len(np.unique(drawn)) == np.size(drawn)
    assert (
        split[2].uniform(5, 4)
        == RandomKey(1, 2, layer=3).split(0).split(0).uniform(5, 4)
    ).all()
    seeds = RandomKey(seed=np.array([[1, 7], [8, 1]]), step=2, layer=3).uniform(5, 4)
    assert seeds.shape == (2, 2, 5, 4)
    assert (seeds[1, 1] == u).all()


def test_random_numbers_of_earlier_versions():
    """A seed gives the same permutations and dropout masks in all versions."""
    assert permutation(0, 0, 8).tolist() == [0, 7, 2, 5, 4, 6, 3, 1]
    assert permutation(5, 2, 6).tolist() == [5, 0, 2, 3, 1, 4]
    u = [0.2049182627270777, 0.3072685466549242, 0.6407294073084873]
    assert RandomKey(1, 2, layer=3).uniform(1, 3).tolist() == [u]
    assert (
        RandomKey(1, 2).uniform(2, 3) == RandomKey(1, 2, layer=0).uniform(2, 3)
    ).all()
