"""Imports between modules form no circle and are few, those inside of functions and for annotations included."""

import ast
from functools import cache
from pathlib import Path

import vecprop

ROOT = Path(vecprop.__file__).parent
FILES = {
    ".".join(file.relative_to(ROOT.parent).with_suffix("").parts): file
    for file in ROOT.rglob("*.py")
}
MODULES = {name.removesuffix(".__init__"): file for name, file in FILES.items()}
MOST = 16


def imported(node, package):
    """Yield the modules that a syntax tree imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.level:
            base = package[: len(package) - child.level + 1]
            target = ".".join([*base, *([child.module] if child.module else [])])
            for name in child.names:
                yield (
                    f"{target}.{name.name}"
                    if f"{target}.{name.name}" in MODULES
                    else target
                )
        yield from imported(child, package)


@cache
def arrows():
    found = {}
    for name, file in MODULES.items():
        package = (
            name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
        )
        found[name] = set(
            imported(ast.parse(file.read_text(encoding="utf-8")), package)
        ) - {name}
    return found


def test_no_module_imports_itself_on_a_detour():
    left = dict(arrows())
    assert len(left) > 100
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    circle = {name: sorted(targets & left.keys()) for name, targets in left.items()}
    assert not circle


def test_no_module_imports_more_than_a_reader_can_follow():
    wide = {
        name: sorted(targets)
        for name, targets in arrows().items()
        if len(targets) > MOST
    }
    assert not wide, " ".join(
        f"{name} imports more than {MOST} modules: {', '.join(of)}."
        for name, of in wide.items()
    )
