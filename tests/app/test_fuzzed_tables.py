"""Test that thousands of damaged tables give a model, or one sentence with a documented exit code and no file."""

import pytest

import vecprop as vp
from damaged_tables import people, run

pytestmark = pytest.mark.filterwarnings("default")  # shown as notes, as for a user


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "spends.npz"
    vp.save(
        vp.TabularRegressor(
            "spends", n_estimators=2, hidden_layer_sizes=4, max_iter=2
        ).fit(people()),
        path,
    )
    return path


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_thousands_of_damaged_tables(vecprop, model, seed):
    codes = run(vecprop, model, 1000, seed)
    assert {code for _, code in codes} >= {0, 3}
