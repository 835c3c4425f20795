"""The estimators' names and docstrings derive from the catalog, and the public names agree with it."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import registry
import vecprop as vp
from vecprop import catalog
from vecprop.estimators import parts


def test_the_catalog_and_the_public_names_agree():
    roles = (
        vp.extend.Layer,
        vp.extend.Loss,
        vp.extend.Penalty,
        vp.extend.Initializer,
        vp.extend.Optimizer,
        vp.extend.Schedule,
        vp.LBFGS,
    )
    public = [
        getattr(package, name)
        for package in (vp, vp.extend)
        for name in package.__all__
    ]
    public = {
        cls
        for cls in public
        if inspect.isclass(cls)
        and issubclass(cls, roles)
        and not inspect.isabstract(cls)
    }
    assert {part.cls for part in catalog.PARTS if part.savable} == public
    assert public <= {type(part) for part in registry.PARTS}
    assert len(catalog.BY_CLASS) == len(catalog.PARTS) + len(catalog.JOINTS)


def test_parts_are_frozen_values():
    for part in registry.PARTS:
        assert hash(part) == hash(eval(repr(part), dict(vars(vp))))
        assert part == eval(repr(part), dict(vars(vp)))


MADE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ACTIVATIONS": (
        "activation",
        lambda model: parts.network(model, 1, 1, vp.SquaredError()).layers[1],
    ),
    "LOSSES": ("loss", lambda model: model._network_loss()),
    "INITIALIZERS": (
        "initializer",
        lambda model: vars(parts.network(model, 1, 1, vp.SquaredError()).layers[0])[
            "initializer"
        ],
    ),
    "OPTIMIZERS": ("solver", parts.optimizer),
    "SCHEDULES": (
        "learning_rate",
        lambda model: parts.schedule(model.set_params(solver="sgd"), 10),
    ),
}
"""The setting that takes a list's names, and the function that makes the part of a
name.
"""


@pytest.mark.parametrize("table", MADE)
def test_the_estimators_take_and_list_every_name(table):
    names, (setting, made) = catalog.named(getattr(catalog, table)), MADE[table]
    assert names
    of_scikit_learn = {"invscaling": "SampleScaling", "adaptive": "Cuts"}
    for name, cls in names.items():
        model = vp.MLPRegressor(nesterovs_momentum=False, **{setting: name})
        model._validate_params()
        assert type(made(model)).__name__ == of_scikit_learn.get(name, cls.__name__)
        assert f'"{name}"' in (vp.MLPRegressor.__doc__ or "")


def test_training_lists_every_score():
    for name in registry.SCORES:
        assert f'"{name}" is' in (vp.train.__doc__ or "")
