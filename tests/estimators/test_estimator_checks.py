"""scikit-learn's checks of an estimator, without any exception."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from vecprop import MLPClassifier, MLPRegressor

QUICK = {"hidden_layer_sizes": [10], "max_iter": 30, "learning_rate_init": 0.05}
ESTIMATORS = [MLPClassifier(**QUICK), MLPRegressor(**QUICK)]
OF_OTHER_SETTINGS = [
    MLPClassifier([10], max_iter=30, solver="lbfgs", class_weight="balanced", activation=["tanh"]),
    MLPRegressor("huber", [10], max_iter=30, solver="lbfgs", scale_target=True, layer_norm=True),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(ESTIMATORS)
def test_every_check_passes(estimator, check):
    check(estimator)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(OF_OTHER_SETTINGS)
def test_every_check_passes_with_other_settings(estimator, check):
    test_every_check_passes(estimator, check)
