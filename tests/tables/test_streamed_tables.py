"""Tables that do not fit into memory: streamed models equal models in memory."""

import pickle
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecprop import Checkpoint, TableError, TabularClassifier, TabularRegressor
from vecprop.system.threads import limit_threads
from vecprop.tables.reading.table_parts import TableParts
from vecprop.tables.row_sources import training_table
from vecprop.tables.rows import Roles
from vecprop.tables.streaming.memory_plan import require_room_for_text
from vecprop.tables.streaming.streamed import Streamed, StreamedFolds
from vecprop.tables.streaming.window_fit import StreamedNetwork, trained_in_windows

ROWS = 6_000


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(ROWS, 3)), columns=list("abc"))
    frame["town"] = rng.choice(["Oslo", "Rome", "Lima"], ROWS)
    frame["number"] = rng.permutation(ROWS)
    frame["person"] = rng.integers(0, 40, ROWS)
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        rng.integers(0, 300, ROWS), unit="D"
    )
    frame["w"] = rng.integers(0, 3, ROWS)
    z = frame["a"] + frame["b"] * frame["c"] + (frame["town"] == "Oslo")
    frame["y"] = np.where(z > 0.3, "yes", "no")
    frame["v"] = z
    frame.loc[::100, ["y", "v"]] = None
    frame.loc[[5, 3001], "y"] = "rare"
    return frame


@pytest.fixture(scope="module")
def folder(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    for part in range(4):
        rows = frame[part * ROWS // 4 : (part + 1) * ROWS // 4]
        rows.to_parquet(folder / f"{part}.parquet", row_group_size=700)
    return folder


@pytest.fixture
def little(little):
    """Memory for a sample of some thousand rows, but not for all rows."""
    return little + 11_000_000


class Here:
    """Workers in this process that pickle their input, and count bundles and the size of results."""

    bundles = most = 0

    def run(self, function: Any, bundles: Any, data: Any) -> Any:
        for number, bundle in enumerate(bundles):
            self.bundles += 1
            result = pickle.dumps(function(*pickle.loads(pickle.dumps((bundle, data)))))
            self.most = max(self.most, len(result))
            yield number, pickle.loads(result)


IGNORED = {"person": "ignore", "day": "ignore", "w": "ignore"}
OF_CLASSES: dict[str, Any] = {
    "random_state": 0,
    "n_estimators": 2,
    "max_iter": 3,
    "columns": {**IGNORED, "v": "ignore"},
}
OF_NUMBERS: dict[str, Any] = OF_CLASSES | {"columns": {**IGNORED, "y": "ignore"}}


@pytest.mark.long
def test_a_streamed_model_is_as_good_as_one_in_memory(frame, folder, little):
    known = frame[frame["y"].notna()]
    model = TabularClassifier("y", **OF_CLASSES).fit(folder, memory=little)
    assert (
        model.score(known)
        > TabularClassifier("y", **OF_CLASSES).fit(frame).score(known) - 0.02
    )
    assert model.classes_.tolist() == ["no", "rare", "yes"]
    assert (
        model.encoder_.dropped["number"]
        == "it only counts the rows; declare it as a number to use it"
    )
    assert f"Rows without a target are not used: 60 of {ROWS}." in model.notes_
    assert any(
        f"trained on its {ROWS - 60} rows block by block" in note
        for note in model.notes_
    )
    regressor = TabularRegressor("v", **OF_NUMBERS).fit(folder, memory=little)
    assert regressor.score(known) > 0.97
    low, high = regressor.predict_interval(known, 0.9).T
    assert 0.87 < ((low <= known["v"]) & (known["v"] <= high)).mean() < 0.95
    assert regressor.range_ == (known["v"].min(), known["v"].max())


@pytest.mark.long
def test_integer_classes_survive_missing_targets(frame, tmp_path, little):
    counted = frame.assign(y=np.where(frame["y"].isna(), np.nan, frame["y"] == "yes"))
    counted.to_parquet(tmp_path / "t.parquet", row_group_size=700)
    quick: dict[str, Any] = OF_CLASSES | {"max_iter": 1, "hidden_layer_sizes": 4}
    streamed = TabularClassifier("y", **quick).fit(tmp_path, memory=little)
    whole = TabularClassifier("y", **quick).fit(counted[:500])
    np.testing.assert_array_equal(streamed.classes_, whole.classes_, strict=True)
    assert streamed.predict(tmp_path).dtype == whole.predict(tmp_path).dtype == int


def test_an_invalid_weight_is_reported_with_its_file_and_row(frame, tmp_path, little):
    frame.assign(w=frame["w"].where(frame.index != 1501, -1)).to_parquet(
        tmp_path / "t.parquet", row_group_size=700
    )
    with pytest.raises(
        TableError,
        match=(
            r"In .*t.parquet, row group 2: Column 'w', the weights, has .* -1 in row"
            r" 101: weights must be numbers"
        ),
    ):
        TabularClassifier("y", **OF_CLASSES).fit(
            tmp_path, memory=little, sample_weight="w"
        )


@pytest.mark.long
def test_results_do_not_depend_on_threads_or_files(folder, little, tmp_path):
    thetas = []
    for threads in (1, 2):
        with limit_threads(threads):
            thetas.append(
                TabularClassifier("y", **OF_CLASSES)
                .fit(folder, memory=little)
                .ensemble_.theta
            )
    assert np.array_equal(*thetas)
    for path in folder.iterdir():
        pd.read_parquet(path).to_parquet(
            tmp_path / path.name, row_group_size=700, compression="zstd"
        )
    again = TabularClassifier("y", **OF_CLASSES).fit(
        sorted(tmp_path.iterdir()), memory=little
    )
    assert np.array_equal(thetas[0], again.ensemble_.theta)


@pytest.mark.long
def test_a_folder_that_fits_into_memory_is_read_as_a_frame(frame, folder):
    one, other = (
        TabularClassifier("y", **OF_CLASSES).fit(table, memory="4GB")
        for table in (folder, frame)
    )
    assert np.array_equal(one.ensemble_.theta, other.ensemble_.theta)


@pytest.mark.long
@pytest.mark.parametrize(
    ("setting", "settings"),
    [
        ({"groups": "person"}, {}),
        ({"time": "day"}, {}),
        ({"sample_weight": "w"}, {"class_weight": "balanced"}),
    ],
)
def test_streamed_fits_accept_the_same_settings(
    frame, folder, little, setting, settings
):
    of_classes = OF_CLASSES | settings | {"columns": ignored(setting)}
    model = TabularClassifier("y", **of_classes).fit(folder, memory=little, **setting)
    assert model.score(frame[frame["y"].notna()]) > 0.9
    assert model.encoder_.dropped.keys() >= {
        "number",
        *(setting.values() if "time" not in setting else ()),
    }


def ignored(setting):
    return {name: "ignore" for name in (*IGNORED, "v") if name not in setting.values()}


@pytest.mark.long
@pytest.mark.parametrize("setting", [{}, {"time": "day"}, {"sample_weight": "w"}])
def test_workers_read_windows_independently(folder, little, tmp_path, setting):
    settings: dict[str, Any] = OF_CLASSES | {
        "columns": ignored(setting),
        "hidden_layer_sizes": 8,
    }
    one = TabularClassifier("y", **settings).fit(folder, memory=little, **setting)
    workers, kept, seen = Here(), Checkpoint(tmp_path / "kept"), []
    settings |= {
        "workers": workers,
        "checkpoint": kept,
        "progress": lambda now: seen.append(now) or now.ended == 2,
    }
    with suppress(KeyboardInterrupt):
        TabularClassifier("y", **settings).fit(folder, memory=little, **setting)
    assert workers.bundles == 2  # of four networks
    settings |= {"progress": seen.append}
    other = TabularClassifier("y", **settings).fit(folder, memory=little, **setting)
    np.testing.assert_array_equal(one.ensemble_.theta, other.ensemble_.theta)
    assert (one.notes_, one.validation_loss_curves_) == (
        other.notes_,
        other.validation_loss_curves_,
    )
    assert workers.bundles == 4
    assert seen[-1].ended == 4


@pytest.mark.long
def test_streamed_quantiles_can_be_refitted(frame, folder, little):
    settings: dict[str, Any] = OF_NUMBERS | {
        "loss": "quantile",
        "quantile": (0.05, 0.5, 0.95),
    }
    model = TabularRegressor("v", **settings).fit(folder, memory=little)
    assert len(model.outer_) == 2
    table = streamed(folder, Roles("v", test=0.1), little)
    assert 0 < len(table.test) < 0.2 * ROWS
    assert table.rows + len(table.test) == ROWS - 60
    anew = TabularRegressor("v", **settings).fit(table).refit(table.whole())
    assert f"refitted on {ROWS - 60} rows for" in anew.notes_[-1]
    assert table.whole().rows == ROWS - 60
    anew = model.refit(folder, memory=little)
    names: dict[str, Any] = dict.fromkeys(("sample_weight", "groups", "time"))
    larger: Any = training_table(model, folder, None, names, memory=little)
    of_all = model.refit(larger.whole())
    np.testing.assert_array_equal(anew.ensemble_.theta, of_all.ensemble_.theta)
    assert f"refitted on {ROWS - 60} rows for" in anew.notes_[-1]
    assert any("trained on its" in note for note in anew.notes_)
    with pytest.raises(
        TableError, match="so sample_weight must be the name of one of its columns"
    ):
        model.refit(folder, sample_weight=np.ones(ROWS), memory=little)


def streamed(folder, roles, memory) -> Any:
    return Streamed.of(
        folder, roles, lambda: 0, memory, TabularRegressor()._column_options
    )


def thetas_of(fit):
    members = [
        replace(member, early_stopping=None, validation_rows=None)
        for member in fit.members()
    ]
    folds = [*range(2), *range(2)]
    views: Any = np.repeat([view.view for view in fit.views], 2).tolist()
    networks = list(map(StreamedNetwork, members, folds, views))
    return [of.theta for of in trained_in_windows(fit.stream, networks, fit.seed)]


@pytest.mark.parametrize(
    "roles",
    [
        Roles("v"),
        *(
            pytest.param(of, marks=pytest.mark.long)
            for of in (Roles("v", group="person"), Roles("v", time="day"))
        ),
    ],
)
def test_members_are_not_trained_on_their_fold(folder, roles, little):
    columns = {
        name: kind for name, kind in OF_NUMBERS["columns"].items() if name != roles.time
    }
    of_numbers: dict[str, Any] = OF_NUMBERS | {
        "columns": columns,
        "max_iter": 1,
        "hidden_layer_sizes": 8,
    }
    fit: Any = (
        TabularRegressor("v", **of_numbers)._plan(streamed(folder, roles, little)).fit
    )
    before = thetas_of(fit)
    stream, encoded = fit.stream, fit.stream.encoded
    numbers = iter(())

    def spoiled(targets, frame):
        T, weight = encoded(targets, frame)
        nonlocal numbers
        own = stream.folds.of(next(numbers))
        T[~np.isin(own, (-1, 0)) if roles.time else own == 0] += 100
        return T, weight

    ends = np.cumsum(stream.sizes)
    spoiling = replace(stream, encoded=spoiled)
    read = spoiling.batches

    def batches(number, views):
        nonlocal numbers
        numbers = iter(
            [np.arange(int(ends[number] - stream.sizes[number]), int(ends[number]))]
        )
        return read(number, views)

    vars(spoiling)["batches"] = batches
    after = thetas_of(replace(fit, stream=spoiling))
    same = [np.array_equal(*pair) for pair in zip(before, after, strict=True)]
    # In time, member 0 learns rows before fold 0, member 1 also rows of fold 0; later
    # rows are spoiled.
    assert same == (
        [True, True, True, True] if roles.time else [True, False, True, False]
    )


def test_the_sample_has_the_folds_of_the_table(frame, folder, little):
    table = streamed(folder, Roles("v", group="person"), little)
    fold = table.folds(4).of(table.numbers)
    folds: Any = (
        pd.DataFrame({"fold": fold, "person": table.frame["person"].to_numpy()})
        .groupby("person")
        .nunique()
    )
    assert (folds["fold"] == 1).all()
    known = frame[frame["v"].notna()].reset_index(drop=True)
    assert known["a"][table.numbers].tolist() == table.frame["a"].tolist()


class Crash(Exception):
    pass


@pytest.mark.long
@pytest.mark.parametrize("setting", [{}, {"time": "day"}])
def test_a_streamed_fit_resumes_bit_identically(
    folder, little, tmp_path, limit, setting
):
    limit("checkpoint: share of the time", np.inf)
    settings: dict[str, Any] = OF_CLASSES | {"columns": ignored(setting)}
    whole = TabularClassifier("y", **settings).fit(folder, memory=little, **setting)
    crashes = iter([2, 1, 3, 5, 4, *range(2, 99)])

    def stop(now):
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    checkpoint, cut = Checkpoint(tmp_path / "kept", every=0), 0
    while True:
        left = next(crashes, 0)
        model = TabularClassifier("y", **settings, checkpoint=checkpoint, progress=stop)
        try:
            model.fit(folder, memory=little, **setting)
            break
        except Crash:
            cut += 1
    assert cut > 2
    assert np.array_equal(model.ensemble_.theta, whole.ensemble_.theta)
    assert model.validation_loss_curves_ == whole.validation_loss_curves_


def test_streamed_roles_are_names_of_columns(frame, folder, little):
    for given, said in (
        (
            {"sample_weight": np.ones(ROWS)},
            "so sample_weight must be the name of one of its columns",
        ),
        ({"y": frame["y"]}, "so target must be the name"),
        (
            {"sample_weight": "v"},
            (
                r"In .*0.parquet, row group 0: Column 'v', the weights, has .* invalid"
                r" value"
            ),
        ),
        ({"time": "z"}, "has no column 'z'"),
    ):
        with pytest.raises(TableError, match=said):
            TabularClassifier("y").fit(folder, memory=little, **given)


def test_text_larger_than_memory_suggests_the_command(tmp_path, little):
    (tmp_path / "t.csv").write_text("a,y\n" + "1,2\n" * 700_000)
    with pytest.raises(
        TableError,
        match=r"convert it to Parquet, .* `vecprop convert .*t.csv t-parquet`",
    ):
        TabularRegressor("y").fit(tmp_path / "t.csv", memory=little)


def test_text_can_use_all_of_the_memory(tmp_path):
    """A line of 4 bytes with two values needs 1.2 (4 + 2 x 8) + 2 x 16 = 56 bytes."""
    file, lines = tmp_path / "t.csv", 1000
    file.write_text("a,y\n" * lines)
    require_room_for_text([file], 56 * lines)
    with pytest.raises(TableError, match="convert it to Parquet"):
        require_room_for_text([file], 56 * lines - 1)


def test_invalid_amounts_of_memory_are_rejected(folder):
    for wrong in ("much", 0, True, "-1GB"):
        with pytest.raises(ValueError, match=r'such as "4GB"'):
            TabularRegressor("v").fit(folder, memory=wrong)
    with pytest.raises(
        TableError, match=r"0.001 GB of memory are not enough: the program itself takes"
    ):
        TabularRegressor("v").fit(folder, memory="1MB")


def test_folds_in_time_are_consecutive():
    folds = StreamedFolds(0, 2, np.array([0, 5, 7, 9], np.uint16), np.array([5, 9]))
    assert folds.of(np.arange(4)).tolist() == [-1, 0, 0, 1]


@pytest.fixture
def many(frame, tmp_path):
    for part in range(40):
        frame[part * 5 : part * 5 + 5].to_parquet(
            tmp_path / f"p{part:02}.parquet", index=False
        )
    return tmp_path


def test_small_row_groups_are_read_together(frame, many):
    parts = TableParts.of(many).joined()
    assert parts.sizes.tolist() == [200]
    assert TableParts.of(many).joined(60).sizes.tolist() == [60, 60, 60, 20]
    assert TableParts.of(many).joined(10).sizes.tolist() == [10] * 20
    first = parts.parts[0].frame(is_checked=True)
    pd.testing.assert_frame_equal(first, frame[:200])
    sent = pickle.loads(pickle.dumps(parts)).parts[0]
    pd.testing.assert_frame_equal(sent.frame(), first)
    for path in many.iterdir():
        path.unlink()
    pd.testing.assert_frame_equal(parts.parts[0].frame(), first)


def test_large_row_groups_are_read_separately(folder, limit):
    limit("reading: rows of a part", 700)
    assert TableParts.of(folder).joined().sizes.tolist() == [700, 700, 100] * 4


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(b"PAR1" * 9)]
)
@pytest.mark.parametrize("is_joined", [False, True])
def test_a_damaged_file_is_named_once(many, harm, is_joined):
    parts = TableParts.of(many)
    parts = parts.joined() if is_joined else parts
    harm(many / "p05.parquet")
    with pytest.raises(TableError) as caught:
        [part.frame() for part in parts.parts]
    said = str(caught.value)
    assert (
        said.count(f"{many}")
        == said.count("row group 0")
        == said.count("p05.parquet, row group 0 ")
        == 1
    )


@pytest.mark.long
def test_many_small_files_give_the_model_of_one_file(frame, little, tmp_path):
    thetas, seconds, began = [], [], 0.0
    for name, rows in (("one", ROWS), ("many", 4)):
        (tmp_path / name).mkdir()
        for first in range(0, ROWS, rows):
            part = frame[first : first + rows].assign(
                day=frame["day"].dt.strftime("%d.%m.%Y")
            )
            part.to_parquet(tmp_path / name / f"{first:05}.parquet", index=False)
        settings = {**OF_CLASSES, "max_iter": 60, "columns": {"v": "ignore"}}
        for _ in range(1 if thetas else 2):  # the first compiles
            began = time.process_time()
            thetas.append(
                TabularClassifier("y", **settings)
                .fit(tmp_path / name, memory=little)
                .ensemble_.theta
            )
        seconds.append(time.process_time() - began)
    assert all(np.array_equal(theta, thetas[0]) for theta in thetas)
    assert seconds[1] < 2 * seconds[0]
