"""A killed population resumes with its unfinished members, and no other run can use its folder."""

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_bundles import Elsewhere

import alike_members as of
import vecprop as vp
from conditions import Killed, full_disk, kill_at
from fits import Cube
from sampled import sampled
from vecprop.extend import Progress
from vecprop.files.checkpoint import identity, store
from vecprop.files.model_file import container
from vecprop.train.compiled.group import CompiledGroup
from vecprop.train.members import REASONS, Data
from vecprop.train.population import local


@pytest.fixture(autouse=True)
def kept_often(limit):
    """Each member is saved as soon as it has ended."""
    limit("checkpoint: share of the time", np.inf)
    limit("threads: seconds between polls", 1e-4)
    limit("bundle: members", 3)


def checkpoint(path, every: float = 0):
    return vp.Checkpoint(path / "folder", every)


@pytest.mark.parametrize(
    ("workers", "each"),
    sampled([(Elsewhere(), ([0], [2, 1, 3])), (None, ([1], [2]))]),
    ids=["workers", "here"],
)
def test_a_population_killed_anywhere_resumes_bit_identically(
    workers, each, tmp_path, monkeypatch
):
    whole = vp.train_population(of.MEMBERS, of.X, of.T)
    known = []
    for kills in each:
        for which in kills:
            with monkeypatch.context() as patch:
                kill_at(patch, which)
                with pytest.raises(Killed):
                    vp.train_population(
                        of.MEMBERS,
                        of.X,
                        of.T,
                        workers=workers,
                        checkpoint=checkpoint(tmp_path),
                    )
        parts = [
            container.read_document(path)
            for path in (tmp_path / "folder").glob("part*")
        ]
        known.append(
            sum(len(group["numbers"]) for part in parts for group in part["cohorts"])
        )
        trained: list[vp.extend.Progress] = []
        kept = checkpoint(tmp_path)
        found = vp.train_population(
            of.MEMBERS, of.X, of.T, checkpoint=kept, progress=trained.append
        )
        np.testing.assert_array_equal(found.last_loss, whole.last_loss)
        for one, expected in zip(found, whole, strict=True):
            of.assert_equal(one, expected)
            assert one.state.network == expected.state.network
            assert (
                one.state.early_stopping.keys() == expected.state.early_stopping.keys()
            )
            for name, value in expected.state.early_stopping.items():
                np.testing.assert_array_equal(one.state.early_stopping[name], value)
        assert trained[0].ended >= known[-1]  # which are not trained again
        assert not [*(tmp_path / "folder").glob(".*")]
        for path in [*(tmp_path / "folder").iterdir()]:
            path.unlink()
    assert not known[0]
    assert known[-1]


def test_a_finished_population_returns_at_once(tmp_path, monkeypatch):
    first = vp.train_population(of.MEMBERS, of.X, of.T, checkpoint=checkpoint(tmp_path))
    monkeypatch.setattr(local, "train_on", None)
    monkeypatch.setattr(
        CompiledGroup, "run", lambda groups, monitor: pytest.fail("it is trained")
    )
    again = vp.train_population(of.MEMBERS, of.X, of.T, checkpoint=checkpoint(tmp_path))
    for one, other in zip(again, first, strict=True):
        of.assert_equal(one, other)


def test_a_member_that_ends_during_a_save_counts_as_unfinished():
    """Otherwise it would be saved with an old reason and without epochs."""
    member = of.member(epochs=6)
    group: Any = CompiledGroup([0], [member], Data(of.X, of.T, None))
    done = group.fits.done

    class Ending(type(group.fits)):
        @property
        def done(self):
            before = done.copy()
            done[0, 0], done[0, 3], self.seconds[0] = 6, 0, 0.5
            return before

    group.fits.seconds[0], done[0, 3] = -1.0, 0
    del group.fits.done
    group.fits.__class__ = Ending
    first, second = group.results(), group.results()
    assert first.seconds[0] <= 0
    assert (second.seconds[0], REASONS[second.reasons[0]]) == (0.5, "epochs")


def test_finished_members_are_saved_when_the_rest_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("VECPROP_NUM_THREADS", "2")
    members: list[Any] = [
        *(of.member(seed=seed, epochs=1) for seed in range(3)),
        of.member(epochs=10**7),
    ]
    kept = checkpoint(tmp_path, every=60)
    stopped = vp.train_population(
        members, of.X, of.T, checkpoint=kept, progress=lambda now: now.ended == 3
    )
    assert [result.reason for result in stopped] == ["epochs"] * 3 + ["interrupted"]
    seen = []
    vp.train_population(
        members,
        of.X,
        of.T,
        checkpoint=kept,
        progress=lambda now: not seen.append(now.ended),
    )
    assert seen[0] == 3


FEW = [of.member(seed=seed, optimizer=vp.Adam(0.01), rows=of.HALF) for seed in range(2)]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ([replace(each, seed=each.seed + 7) for each in FEW], "its seed differs"),
        (
            [replace(each, optimizer=vp.Adam(0.02)) for each in FEW],
            "its optimizer differs",
        ),
        ([replace(each, epochs=7) for each in FEW], "its epochs differs"),
        ([replace(each, rows=of.OTHERS) for each in FEW], "its rows differs"),
        (
            [replace(each, validation_rows=of.OTHERS) for each in FEW],
            "its validation_rows differs",
        ),
        ([replace(each, T=of.T + 1) for each in FEW], "its T differs"),
        (
            [replace(each, sample_weight=of.W) for each in FEW],
            "its sample_weight differs",
        ),
        (
            [replace(each, early_stopping=vp.EarlyStopping()) for each in FEW],
            "its early_stopping differs",
        ),
        ([replace(each, schedule=vp.Cosine()) for each in FEW], "its schedule differs"),
    ],
    ids=str,
)
def test_the_folder_of_another_population_is_refused_and_stays(
    changed, named, tmp_path
):
    vp.train_population(FEW, of.X, of.T, checkpoint=checkpoint(tmp_path))
    before = {path: path.read_bytes() for path in (tmp_path / "folder").iterdir()}
    with pytest.raises(
        ValueError, match=f"folder is the checkpoint of another run: {named}"
    ):
        vp.train_population(changed, of.X, of.T, checkpoint=checkpoint(tmp_path))
    with pytest.raises(ValueError, match="its engine differs"):
        vp.train_population(
            FEW, of.X, of.T, engine="reference", checkpoint=checkpoint(tmp_path)
        )
    with pytest.raises(ValueError, match="its moments differs"):
        vp.train_population(
            FEW, of.X, of.T, moments=False, checkpoint=checkpoint(tmp_path)
        )
    assert {
        path: path.read_bytes() for path in (tmp_path / "folder").iterdir()
    } == before


def test_other_folders_and_files_are_not_touched(tmp_path):
    for folder_, error in (
        (tmp_path / "mine", "holds other files, such as letter.txt"),
        (tmp_path / "file", "a file"),
    ):
        if error == "a file":
            folder_.write_text("mine")
        else:
            folder_.mkdir()
            (folder_ / "letter.txt").write_text("mine")
        with pytest.raises(ValueError, match=error):
            vp.train_population(FEW, of.X, of.T, checkpoint=vp.Checkpoint(folder_))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
    one = vp.Checkpoint(tmp_path / "mine")
    with pytest.raises(
        ValueError, match="mine is a folder, but a single run needs a file"
    ):
        vp.train(
            FEW[0].network,
            FEW[0].theta,
            of.X,
            of.T,
            optimizer=vp.Adam(0.1),
            checkpoint=one,
        )


MANY = [
    of.member(seed=seed, optimizer=vp.Adam(0.01), rows=of.HALF) for seed in range(5)
]


@pytest.mark.parametrize("kind", ["together", "alone"])
def test_a_folder_serves_more_or_fewer_members(kind, tmp_path, monkeypatch):
    """Results are found by the settings and data of the member, independent of the index and order."""
    members = (
        MANY
        if kind == "together"
        else [of.member(seed=seed, optimizer=vp.LBFGS(), epochs=3) for seed in range(5)]
    )
    whole = vp.train_population(members, of.X, of.T)
    trained = []
    for some in ([1, 3], [3, 0, 1, 4], [1], [4, 3, 2, 1, 0, 4]):
        shown: list[Progress] = []
        own = [members[number] for number in some]
        found = vp.train_population(
            own, of.X, of.T, checkpoint=checkpoint(tmp_path), progress=shown.append
        )
        for number, result in zip(some, found, strict=True):
            of.assert_equal(result, whole[number])
            assert result.reason == whole[number].reason
        monkeypatch.undo()
        trained.append(len(list((tmp_path / "folder").glob("part-*"))))
    assert trained[2] == trained[1] > trained[0]


def test_saved_results_are_held_in_memory_once(tmp_path):
    members, held = (
        [of.member(of.network(width=2000), seed, epochs=1) for seed in range(10)],
        [],
    )
    settings: dict[str, Any] = {
        "checkpoint": checkpoint(tmp_path),
        "moments": False,
        "workers": Elsewhere(),
    }
    vp.train_population(members, of.X, of.T, **settings)
    size = sum(np.asarray(member.theta).nbytes for member in members)
    settings["progress"] = lambda _: held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.start()
    vp.train_population([*members, of.member(epochs=1)], of.X, of.T, **settings)
    tracemalloc.stop()
    assert held[0] < 1.5 * size


def test_two_results_of_a_member_must_be_bit_identical(tmp_path):
    kept, part = (
        vp.Checkpoint(tmp_path / "one", every=0),
        tmp_path / "one" / store.PART.format(0),
    )
    first = vp.train_population(FEW, of.X, of.T, checkpoint=kept)
    document, arrays = container.read(part)
    again = tmp_path / "one" / store.PART.format(7)
    container.write(again, document | {"seconds": 3.0}, arrays)
    for one, other in zip(
        vp.train_population(FEW, of.X, of.T, checkpoint=kept), first, strict=True
    ):
        of.assert_equal(one, other)
    name = next(name for name in arrays if name.startswith("thetas"))
    container.write(again, document, arrays | {name: arrays[name] + 1})
    with pytest.raises(
        ValueError,
        match=r"has two results of member \d with different bits: remove the folder",
    ):
        vp.train_population(FEW, of.X, of.T, checkpoint=kept)
    again.write_bytes(part.read_bytes()[:-50])
    with pytest.raises(ValueError, match="damaged or truncated"):
        vp.train_population(FEW, of.X, of.T, checkpoint=kept)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (
            of.member(epochs=-1),
            "In member 2: epochs must be an integer of at least 0, got -1",
        ),
        (
            of.member(of.network(activation=Cube())),
            r"In member 2: network.* is of the class .*Cube",
        ),
        (of.member(F=np.float16), "In member 2: theta has dtype float16"),
    ],
    ids=["settings", "own part", "float16"],
)
@pytest.mark.filterwarnings("ignore:Training on the reference engine")
def test_runs_that_cannot_be_saved_are_refused_before_training(bad, error, tmp_path):
    with pytest.raises((TypeError, ValueError), match=error):
        vp.train_population(
            [*FEW, bad], of.X, of.T, engine="auto", checkpoint=checkpoint(tmp_path)
        )
    assert not list(tmp_path.iterdir())
    with pytest.raises(
        TypeError, match=r"checkpoint must be a Checkpoint, .* got 'run'"
    ):
        vp.train_population(FEW, of.X, of.T, checkpoint="run")  # pyright: ignore[reportArgumentType]


def test_a_full_disk_ends_training_and_keeps_the_files(tmp_path):
    few = [of.member(seed=seed, epochs=1) for seed in range(8)]
    whole = vp.train_population(few, of.X, of.T)
    second_file = "No space left on device.*part-000001.npz"
    with full_disk(5), pytest.raises(OSError, match=second_file):
        vp.train_population(
            few, of.X, of.T, workers=Elsewhere(), checkpoint=checkpoint(tmp_path)
        )
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [
        "part-000000.npz",
        "run.npz",
    ]
    for one, expected in zip(
        vp.train_population(few, of.X, of.T, checkpoint=checkpoint(tmp_path)),
        whole,
        strict=True,
    ):
        of.assert_equal(one, expected)


def test_other_versions_are_warned_of(tmp_path, monkeypatch):
    file, many = vp.Checkpoint(tmp_path / "run.npz"), checkpoint(tmp_path)
    one: dict[str, Any] = {"optimizer": vp.Adam(0.1), "checkpoint": file}

    def train():
        vp.train(FEW[0].network, FEW[0].theta, of.X, of.T, **one)
        vp.train_population(FEW, of.X, of.T, checkpoint=many)

    train()
    known = identity.made_with()
    monkeypatch.setattr(identity, "made_with", lambda: known | {"numpy": "9.9"})
    with pytest.warns(
        UserWarning, match=r"written with numpy .*, now 9.9: the bits may differ"
    ) as warned:
        train()
    assert [str(warning.message).split()[0] for warning in warned] == [
        str(file.path),
        str(many.path),
    ]
    assert {warning.filename for warning in warned} == {__file__}


def test_many_members_are_few_arrays_of_few_files(tmp_path, monkeypatch, limit):
    many = [
        of.member(seed=seed, epochs=1, optimizer=vp.Momentum(0.001 * (1 + seed)))
        for seed in range(50)
    ]
    alone = [of.member(optimizer=vp.LBFGS(), epochs=1, seed=seed) for seed in range(5)]
    limit("checkpoint: members in a part", 2)
    vp.train_population(
        [*many, *alone], of.X, of.T, checkpoint=checkpoint(tmp_path, every=60)
    )
    parts = sorted((tmp_path / "folder").glob("part*"))
    assert len(parts) == 3
    assert len(np.load(parts[0]).files) < 40
    monkeypatch.undo()
    results = vp.train_population(
        [*many, *alone], of.X, of.T, checkpoint=checkpoint(tmp_path)
    )
    for one, other in zip(
        results, vp.train_population([*many, *alone], of.X, of.T), strict=True
    ):
        of.assert_equal(one, other)


class Interrupted:
    """Workers that return their results at Ctrl-C."""

    def run(self, function, bundles, data):
        for place, bundle in enumerate(bundles):
            part = function(bundle, data)
            for group in part.groups:
                group.reasons[:] = REASONS.index("interrupted")
            others = {
                number: replace(each, reason="interrupted")
                for number, each in part.others.items()
            }
            yield place, part._replace(others=others)
            raise KeyboardInterrupt


def test_interrupted_results_of_workers_are_not_saved(tmp_path):
    whole = vp.train_population(of.MEMBERS, of.X, of.T)
    stopped = vp.train_population(
        of.MEMBERS, of.X, of.T, workers=Interrupted(), checkpoint=checkpoint(tmp_path)
    )
    assert "interrupted" in [result.reason for result in stopped]
    found = vp.train_population(of.MEMBERS, of.X, of.T, checkpoint=checkpoint(tmp_path))
    for one, expected in zip(found, whole, strict=True):
        assert one.reason == expected.reason
        of.assert_equal(one, expected)
