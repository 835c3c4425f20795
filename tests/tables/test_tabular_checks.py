"""scikit-learn's checks of what makes an estimator."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from vecprop import TabularClassifier, TabularRegressor

SMALL = {"n_members": 2, "hidden_layer_sizes": (16,), "max_iter": 30, "random_state": 0}
ESTIMATORS = [TabularClassifier(**SMALL), TabularRegressor(**SMALL)]


def expected_to_fail(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": "a row twice may be in two folds and two batches",
        "check_dataframe_column_names_consistency": "columns are found by name, in any order, and others are ignored",
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_to_fail)
def test_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("model", [TabularClassifier(), TabularRegressor()])
def test_models_are_shown_in_notebooks(model):
    assert type(model).__name__ in model._repr_html_()
    assert "predict" in dir(model)
