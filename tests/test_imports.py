"""Imports between modules form no circle, those inside of functions and for annotations included."""

import ast
from pathlib import Path

import vecprop

ROOT = Path(vecprop.__file__).parent
FILES = {".".join(file.relative_to(ROOT.parent).with_suffix("").parts): file for file in ROOT.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): file for name, file in FILES.items()}


def imported(node, package):
    """Yield the modules that a syntax tree imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.level:
            base = package[: len(package) - child.level + 1]
            target = ".".join([*base, *([child.module] if child.module else [])])
            for name in child.names:
                yield f"{target}.{name.name}" if f"{target}.{name.name}" in MODULES else target
        yield from imported(child, package)


def arrows():
    for name, file in MODULES.items():
        package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
        yield name, set(imported(ast.parse(file.read_text(encoding="utf-8")), package)) - {name}


def test_no_module_imports_itself_on_a_detour():
    left = dict(arrows())
    assert len(left) > 100
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    circle = {name: sorted(targets & left.keys()) for name, targets in left.items()}
    assert not circle
