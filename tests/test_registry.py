import inspect

import registry
import vecprop as vp

ROLES = (
    vp.extend.Layer,
    vp.extend.Loss,
    vp.extend.Penalty,
    vp.extend.Initializer,
    vp.extend.Optimizer,
    vp.extend.Schedule,
)


def test_every_public_part_is_registered():
    public = {
        part
        for part in (getattr(vp, name) for name in vp.__all__)
        if inspect.isclass(part) and issubclass(part, ROLES) and not inspect.isabstract(part)
    }
    assert len(public) > 30
    assert public - {type(part) for part in registry.PARTS} == set()


def test_parts_are_frozen_values():
    for part in registry.PARTS:
        assert hash(part) == hash(eval(repr(part), dict(vars(vp))))
        assert part == eval(repr(part), dict(vars(vp)))
