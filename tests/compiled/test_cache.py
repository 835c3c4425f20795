"""Compiled kernels are cached on disk, and compiled again when a formula changes."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import platformdirs
import pytest

import vecprop as vp
from vecprop.compiled.gemm.products import dots_of, multiply_of, transpose_of
from vecprop.compiled.jit import cache

OTHER = 65534
RECIPE = Path(__file__).parents[2] / "docs" / "how-to" / "containers.md"
of_users = pytest.mark.skipif(
    not hasattr(os, "geteuid"), reason="Windows has other rights"
)

FIT = """
import numpy as np, vecprop as vp
network = vp.Network(2, [vp.Dense(3), vp.Logistic(), vp.Dense(1)], vp.SquaredError())
X = np.linspace(-1, 1, 20).reshape(10, 2)
options = dict(optimizer=vp.GradientDescent(0.1), epochs=3, engine="compiled")
result = vp.train(network, np.linspace(-1, 1, 13), X, X[:, 0], **options)
print(repr(result.theta.tolist()))
"""


DENSE = """
import ctypes, sys
import numpy as np
from vecprop.compiled.run.dense import Algorithm, dense_addresses, product_address
for F in map(np.dtype, sys.argv[1:]):
    forward, _ = dense_addresses(Algorithm.BLOCKS, F.type)
    A, parameters, Z = np.ones((3, 5), F), np.arange(6, dtype=F), np.zeros((2, 5), F)
    places = [array.ctypes.data for array in (parameters, A, Z)]
    product = product_address(Algorithm.BLOCKS, F.type)
    ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 10)(forward)(2, 2, 5, *places, 0, 0, 0, product)
    print(Z[:, 0].tolist())
"""


FITS = """
import numpy as np
import vecprop as vp

rng = np.random.default_rng(0)
X, y = rng.normal(size=(60, 9)), rng.normal(size=60)
vp.MLPRegressor(hidden_layer_sizes=(3, 40), early_stopping=True, max_iter=3, n_restarts=2).fit(X, y)
vp.MLPClassifier((12,), max_iter=3, layer_norm=True, dropout=0.1).fit(X.astype(np.float32), y > 0).predict(X)
vp.MLPRegressor(hidden_layer_sizes=(520, 520), max_iter=2, batch_size=30).fit(X, y).predict(X)
"""


def run(code, *arguments, **environment):
    command, variables = (
        [sys.executable, "-c", code, *arguments],
        {**os.environ, **environment},
    )
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


@pytest.mark.long
def test_kernels_are_compiled_once_and_logged_once(tmp_path):
    first, said = run(FIT, VECPROP_CACHE_DIR=str(tmp_path))
    assert said.count("compiling for this processor, once") == 1
    kept = set(tmp_path.rglob("*.kernel"))
    # The trial, an activation and a layer both ways, a product, a loss, a step, and the
    # loops over rows and epochs.
    assert len(kept) == 12
    second, said = run(FIT, VECPROP_CACHE_DIR=str(tmp_path))
    assert said == ""
    assert second == first
    assert set(tmp_path.rglob("*.kernel")) == kept


@pytest.mark.long
def test_types_compiled_in_different_processes_are_not_confused(tmp_path):
    for types in (["float32"], ["float64"], ["float32", "float64"]):
        # names depend on it
        shown, _ = run(
            DENSE, *types, VECPROP_CACHE_DIR=str(tmp_path), PYTHONHASHSEED="0"
        )
        assert shown.splitlines() == ["[6.0, 9.0]"] * len(types)


@pytest.mark.parametrize("function", [multiply_of, dots_of, transpose_of])
def test_the_type_is_part_of_the_name(function):
    # Numba numbers functions separately in each process, so that only names distinguish
    # them on disk.
    assert function(np.float32).__qualname__ != function(np.float64).__qualname__


@pytest.mark.long
def test_a_damaged_file_is_compiled_again(tmp_path):
    expected = run(DENSE, "float32", VECPROP_CACHE_DIR=str(tmp_path))[0]
    files = list(tmp_path.glob("*.kernel"))
    whole = [file.read_bytes() for file in files]
    for damaged in (b"", bytes(100), whole[0][:-1]):
        for file in files:
            file.write_bytes(damaged)
        found, said = run(DENSE, "float32", VECPROP_CACHE_DIR=str(tmp_path))
        assert found == expected
        assert said.count("compiling") == 1
        assert run(DENSE, "float32", VECPROP_CACHE_DIR=str(tmp_path)) == (expected, "")
        assert all(len(file.read_bytes()) > 1000 for file in files)


@pytest.fixture
def folder(monkeypatch):
    """Return a function that chooses the folder of the cache by environment variables.

    The default is the user's folder in a home folder.
    """

    def choose(chosen=None, home="~"):
        for name in ("HOME", "XDG_CACHE_HOME"):
            monkeypatch.setenv(name, str(home))
        monkeypatch.delenv("VECPROP_CACHE_DIR", raising=False)
        if chosen is not None:
            monkeypatch.setenv("VECPROP_CACHE_DIR", str(chosen))
        cache.folder.cache_clear()
        return cache.folder()

    cache._warned.clear()
    yield choose
    cache.folder.cache_clear()


def test_a_file_is_complete_or_missing(folder, tmp_path, monkeypatch):
    folder(tmp_path)
    cache.keep("a", b"code")
    assert cache.kept("a") == b"code"
    monkeypatch.setattr(cache.os, "replace", refuse)
    cache.keep("b", b"code")  # the next process compiles it again
    assert cache.kept("b") is None
    assert [file.name for file in tmp_path.iterdir()] == ["a.kernel"]
    (tmp_path / "a.kernel").write_bytes((tmp_path / "a.kernel").read_bytes()[:-1])
    assert cache.kept("a") is None


def refuse(*arguments, **options):
    raise PermissionError(13, "Permission denied")


def test_a_read_only_folder_is_used(folder, monkeypatch, tmp_path):
    kept = folder(tmp_path)
    cache.keep("a", b"code")
    # root may write anywhere
    monkeypatch.setattr(cache.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(cache.os, "open", refuse)
    assert folder(tmp_path) == kept
    assert cache.kept("a") == b"code"
    cache.keep("b", b"code")
    assert cache.kept("b") is None


def test_a_user_without_a_home(folder, monkeypatch):
    relative = Path("~/.cache/vecprop")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: relative)
    with pytest.warns(
        UserWarning,
        match=(
            "stored in a home folder, so each process compiles them: set VECPROP_CACHE"
        ),
    ):
        assert folder() is None


def test_a_relative_folder_is_made_absolute(monkeypatch):
    monkeypatch.setenv("VECPROP_CACHE_DIR", os.path.join("~", "kept"))
    assert cache._chosen() == Path.home() / "kept"
    monkeypatch.setenv("VECPROP_CACHE_DIR", "kept")
    assert cache._chosen() == Path.cwd() / "kept"


@pytest.fixture
def chosen(folder, tmp_path):
    """Return a folder of the cache that the environment sets."""
    return folder(tmp_path / "chosen", home=tmp_path / "own")


def give_away(path, monkeypatch):
    """Give a file to another user, or become another user."""
    if os.geteuid() == 0:
        os.chown(path, OTHER, OTHER)
    else:
        monkeypatch.setattr(cache.os, "geteuid", lambda: OTHER)


@of_users
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_used(folder, chosen, mode):
    chosen.chmod(mode)
    said = (
        rf"{re.escape(str(chosen))} \(other users can write to it\), so .*vecprop is"
        r" used instead: set VECPROP_CACHE_DIR"
    )
    home = chosen.parent / "own"
    with pytest.warns(UserWarning, match=said):
        own = folder(chosen, home)
    assert own.is_relative_to(home)
    assert own.name == "vecprop"


@of_users
def test_a_folder_that_belongs_to_another_user_is_not_used(
    folder, tmp_path, monkeypatch
):
    own = folder(home=tmp_path)
    give_away(own, monkeypatch)
    with pytest.warns(
        UserWarning,
        match=(
            r"it belongs to the user with ID \d+\), so each process compiles them: set "
        ),
    ):
        assert folder(own, home=tmp_path) is None


@of_users
@pytest.mark.parametrize(
    "change", [give_away, lambda file, monkeypatch: file.chmod(0o664)]
)
def test_a_file_that_another_user_may_have_written_is_not_read(
    chosen, monkeypatch, change
):
    for name in "ab":
        cache.keep(name, b"code")
        change(chosen / f"{name}.kernel", monkeypatch)
    with pytest.warns(
        UserWarning,
        match=(
            r"a\.kernel is ignored and compiled again, since (it belongs|other users)"
        ),
    ):
        assert cache.kept("a") is None
    assert cache.kept("b") is None  # without a second warning
    cache.keep("b", b"code")
    assert os.geteuid() or cache.kept("b") == b"code"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root writes files of root",
)
def test_files_of_root_are_read_by_others(folder, chosen, monkeypatch):
    cache.keep("a", b"code")
    monkeypatch.setattr(cache.os, "geteuid", lambda: OTHER)
    assert folder(chosen) == chosen
    assert cache.kept("a") == b"code"


def test_a_renamed_file_is_not_read(chosen):
    cache.keep("a", b"code")
    (chosen / "a.kernel").rename(chosen / "b.kernel")
    assert cache.kept("b") is None


@of_users
@pytest.mark.parametrize(
    ("umask", "mode"), [(0o022, 0o644), (0o002, 0o644), (0o077, 0o600)]
)
def test_modes_follow_the_umask_without_write_permission_for_others(
    folder, tmp_path, umask, mode
):
    before = os.umask(umask)
    try:
        kept = folder(tmp_path / "kept")
        cache.keep("a", b"code")
    finally:
        os.umask(before)
    assert stat.S_IMODE((kept / "a.kernel").stat().st_mode) == mode
    assert stat.S_IMODE(kept.stat().st_mode) == mode | mode >> 2 & 0o111
    assert cache.kept("a") == b"code"


@pytest.mark.long
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root can become another user",
)
def test_another_user_loads_kernels_compiled_by_root():
    """As in `docs/how-to/containers.md`; root loads all modules, because others may not enter its home."""
    assert re.search(
        "ENV VECPROP_CACHE_DIR=.*RUN vecprop warmup.*USER app",
        RECIPE.read_text("utf-8"),
        re.DOTALL,
    )
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        place, by_root = (
            os.path.join(parent, "vecprop"),
            FIT.replace('"compiled"', '"reference"'),
        )
        assert "compiling" in run(FIT, VECPROP_CACHE_DIR=place)[1]
        kept = sorted(os.listdir(place))
        as_other = (
            f"{by_root}\nimport os, vecprop.compiled, platformdirs\nos.setgroups([]),"
            " os.setgid(1234), os.setuid(1234)"
        )
        shown, said = run(f"{as_other}\n{FIT}", VECPROP_CACHE_DIR=place)
        assert len(shown.splitlines()) == 2
        assert said == ""
        assert sorted(os.listdir(place)) == kept


@pytest.mark.long
def test_environments_share_a_cache(tmp_path):
    """The names of kernels do not depend on the location of the sources."""
    shutil.copytree(Path(vp.__file__).parent, tmp_path / "other" / "vecprop")
    for path in ("", str(tmp_path / "other")):
        _, said = run(FIT, VECPROP_CACHE_DIR=str(tmp_path / "kept"), PYTHONPATH=path)
        assert ("compiling" in said) == (path == "")


@pytest.mark.long
def test_without_a_writable_folder_there_is_one_warning(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    shown, said = run(FIT, VECPROP_CACHE_DIR=str(taken / "below"))
    assert shown == run(FIT)[0]
    assert said.count(f"{taken / 'below'} (it is not writable), so ") == 1


def test_the_names_of_all_kernels():
    from vecprop import catalog
    from vecprop.compiled.warm_up import kernels

    names = [name for name, _ in kernels()]
    assert len(names) == len(set(names))
    with_formulas = (*catalog.ACTIVATIONS, *catalog.LOSSES, *catalog.OPTIMIZERS)
    parts = [part.cls.__name__ for part in with_formulas if part.kernel]
    assert {
        f"{kind} {part}" for kind in ("float32", "float64") for part in parts
    } < set(names)


@pytest.mark.long
def test_after_warming_up_nothing_is_compiled(tmp_path):
    warm = (
        "from vecprop.compiled.warm_up import kernels\n"
        "from vecprop.tables.encoding.expansion import kernels as columns\n"
        "for _, compile in [*kernels(), *columns()]:\n    compile()\n"
    )
    run(warm, VECPROP_CACHE_DIR=str(tmp_path))
    kept = set(tmp_path.rglob("*.kernel"))
    said = run(FITS, VECPROP_CACHE_DIR=str(tmp_path))[1]
    assert "compiling" not in said
    assert set(tmp_path.rglob("*.kernel")) == kept
