"""Progress bars in terminals, in notebooks and in files."""

import contextlib
import importlib
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import vecprop as vp
from vecprop.extend import Progress
from vecprop.train.progress import ProgressLine, progress_bar

pytest.importorskip("rich")
# vecprop.train is the function
PROGRESS = importlib.import_module("vecprop.train.progress")
STATE = vp.TrainingState(np.zeros(2), {}, {}, rows=30, epochs=100)
NETWORK = vp.Network(1, [vp.Dense(1)], vp.SquaredError())


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set."""
    seconds = [0.0]
    monkeypatch.setattr(PROGRESS.time, "perf_counter", lambda: seconds[0])
    return seconds


def terminal(monkeypatch, columns):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))


def last_line(capsys):
    return (
        re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
        .split("\r")[-1]
        .strip("\n")
    )


@pytest.fixture
def notebook(monkeypatch):
    """The outputs of a notebook cell; updates replace their text."""
    outputs = []

    class Output:
        def __init__(self, data):
            outputs.append(data["text/plain"])
            self.place = len(outputs) - 1

        def update(self, data, raw):
            outputs[self.place] = data["text/plain"]

    display = SimpleNamespace(display=lambda data, raw, display_id: Output(data))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    return outputs


def test_the_pace_of_the_first_update_counts_from_zero(clock):
    with ProgressLine("reading") as line:
        clock[0] = 1.0
        line.update(2, 0.5)
        assert ", 2 rows/s" in line.text()


LONG = Progress(3_000, 10_000, 0.5, 10**12, loss=1.23456e-5, validation_loss=2.34567e-5)


LINE = (
    "forest ━━━━     50% 10:30:00, 26.5M rows/s, loss 1.235e-05, validation 2.346e-05,"
    " 3,000 of 10,000 done"
)


@pytest.mark.parametrize(
    ("columns", "line"), [(200, LINE), (80, LINE[:79] + "…"), (20, LINE[:19] + "…")]
)
def test_a_line_is_never_wider_than_its_terminal(
    columns, line, monkeypatch, capsys, clock
):
    terminal(monkeypatch, columns)
    with progress_bar("forest", quiet=False) as show:
        assert show is not None
        clock[0] = 5.0
        show(Progress(0, 10_000, 0.0, 10**6, 1.0, 1.0))
        clock[0] = 37_800.0
        show(LONG)
    assert last_line(capsys) == line


def test_a_long_name_leaves_room_for_times(monkeypatch, capsys, clock):
    terminal(monkeypatch, 80)
    with ProgressLine(
        "the winters of all 48 [wet] regions,\nday by day", "kernels"
    ) as line:
        for clock[0] in (1.0, 3.0):
            line.update(int(clock[0]), clock[0] / 4)
        assert (
            line.text()
            == "the winters of al... ━━━━━━   75% 0:03, 0:01 left, 1 kernels/s"
        )
    assert last_line(capsys) == "the winters of al... ━━━━━━   75% 0:03, 1 kernels/s"


def test_the_pace_begins_again_with_a_smaller_count(monkeypatch, capsys, clock):
    terminal(monkeypatch, 80)
    with progress_bar("training", quiet=False) as show:
        assert show is not None
        for clock[0], rows in ((1.0, 30), (2.0, 60), (3.0, 20), (4.0, 80)):
            show(Progress(0, 2, 0.0, rows, 0.5, 0.5))
    assert " 60 rows/s" in last_line(capsys)


def test_a_file_gets_lines_less_and_less_often(capsys, clock):
    with vp.ProgressBar("night") as bar:
        for STATE.epoch in range(101):
            clock[0] = 6.0 * STATE.epoch
            bar(STATE)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"night {' ':8} 2% 0:12, 9:48 left, 5 rows/s, epoch 2 of 100"
    assert lines[-1] == "night ━━━━━━━━ 100% 10:00, 5 rows/s, epoch 100 of 100"
    assert 10 < len(lines) < 25


def test_a_file_gets_the_last_line_once(capsys, clock):
    with ProgressLine("reading") as line:
        line.update(1, 0.5)
        clock[0] = 22.0
        line.update(2, 1.0)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_time_is_left_after_training_that_ends_early(monkeypatch, capsys, clock):
    terminal(monkeypatch, 80)
    with vp.ProgressBar("night") as bar:
        for STATE.epoch in (1, 26):
            clock[0] = float(STATE.epoch)
            bar(STATE)
    assert last_line(capsys) == "night ━━       26% 0:26, 30 rows/s, epoch 26 of 100"


def test_a_short_task_writes_one_line_to_a_file(capsys):
    X = np.ones((3, 1))
    settings = {"optimizer": vp.GradientDescent(0.1), "epochs": 3, "validation": (X, X)}
    vp.train(NETWORK, np.zeros(2), X, X, callbacks=[vp.ProgressBar("ones")], **settings)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(
        r"ones ━━━━━━━━ 100% 0:00, [\d.,M]+ rows/s, loss [\d.]+, validation [\d.]+,"
        r" epoch 3 of 3\n",
        shown.err,
    )


def test_without_rich_lines_are_printed(monkeypatch, without_package, capsys):
    terminal(monkeypatch, 80)
    without_package("rich.console")
    with vp.ProgressBar("ones") as bar:
        bar(STATE)
    assert capsys.readouterr().err.count("\n") == 1


def test_prints_are_not_moved_to_standard_error(monkeypatch, capsys):
    terminal(monkeypatch, 80)
    with vp.ProgressBar():
        print("for a pipe")
    assert capsys.readouterr().out == "for a pipe\n"


def test_a_bar_within_another_is_hidden(notebook, capsys):
    with vp.ProgressBar("outer") as outer:
        with vp.ProgressBar("inner") as inner:
            inner(STATE)
        outer(STATE)
    with vp.ProgressBar("next"):
        pass
    assert [output.split()[0] for output in notebook] == ["outer", "next"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_next_bar_is_shown(error, notebook):
    def fail(state):
        raise error

    def fit(*callbacks):
        X = np.ones((3, 1))
        vp.train(
            NETWORK,
            np.zeros(2),
            X,
            X,
            optimizer=vp.Adam(),
            epochs=3,
            callbacks=[vp.ProgressBar(), *callbacks],
        )

    with contextlib.suppress(error):
        fit(fail)
    fit()
    assert [output[-12:] for output in notebook] == ["epoch 1 of 3", "epoch 3 of 3"]


def test_a_population_ends_with_all_members_done(notebook):
    X = np.ones((3, 1))
    members = [
        vp.Member(NETWORK, np.zeros(2), vp.Adam(), epochs=epochs)
        for epochs in (1, 5, 9)
    ]
    with progress_bar("members", quiet=False) as show:
        vp.train_population(members, X, X, progress=show)
    assert "100%" in notebook[0]
    assert "3 of 3 done" in notebook[0]


class InThisProcess:
    """Workers that run bundles one after the other."""

    def run(self, function, bundles, data):
        yield from (
            (place, function(bundle, data)) for place, bundle in enumerate(bundles)
        )


ROWS, LABELS = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2
FEW = {"hidden_layer_sizes": (2,), "max_iter": 3, "batch_size": 10, "random_state": 0}


def search_of(network, **settings):
    return vp.MLPSearchCV(
        network, {"alpha": [0.1, 1, 2]}, cv=2, verbose="bar", refit=False, **settings
    )


MANY_FITS = {
    "search": (lambda: search_of(vp.MLPClassifier(**FEW)), "6 of 6 done"),
    "rounds of a search": (
        lambda: search_of(vp.MLPClassifier(**FEW), halving=3),
        "2 of 2 done",
    ),
    "search without a population": (
        lambda: search_of(vp.MLPClassifier(**FEW, solver="lbfgs")),
        "6 of 6 done",
    ),
    "search on workers": (
        lambda: search_of(vp.MLPClassifier(**FEW), workers=InThisProcess()),
        "6 of 6 done",
    ),
    "ensemble": (
        lambda: vp.MLPEnsembleClassifier(vp.MLPClassifier(**FEW, verbose="bar"), 4),
        "4 of 4 done",
    ),
    "restarts": (
        lambda: vp.MLPClassifier(**FEW, verbose="bar", n_restarts=3),
        "3 of 3 done",
    ),
    "restarts with callbacks": (
        lambda: vp.MLPClassifier(
            **FEW, verbose="bar", n_restarts=3, callbacks=[lambda _: None]
        ),
        "3 of 3 done",
    ),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", MANY_FITS)
def test_many_fits_have_one_bar(kind, notebook, capsys):
    model, done = MANY_FITS[kind]
    model().fit(ROWS, LABELS)
    (line,) = notebook
    assert "100%" in line
    assert done in line
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_bar_of_a_search_does_not_change_its_results():
    found, expected = (
        search_of(vp.MLPClassifier(**FEW)).set_params(verbose=verbose)
        for verbose in ("bar", 0)
    )
    scores = [
        search.fit(ROWS, LABELS).cv_results_["mean_test_score"]
        for search in (found, expected)
    ]
    np.testing.assert_array_equal(*scores)


CELLS = """
import signal, numpy as np, pandas as pd, vecprop as vp
network, X = vp.Network(1, [vp.Dense(1)], vp.SquaredError()), np.ones((3, 1))
def fit(*callbacks, epochs=50):
    settings = {"optimizer": vp.Adam(), "epochs": epochs, "callbacks": [vp.ProgressBar(), *callbacks]}
    return vp.train(network, np.zeros(2), X, X, **settings)

fit(); second = fit()

nested = fit(lambda state: state.epoch == 3 and fit() is None)

fit(lambda state: 1 / (20 - state.epoch))

cancelled = fit(lambda state: state.epoch == 20 and signal.raise_signal(signal.SIGINT))

table = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60.0)})
model = vp.TabularRegressor("y", n_estimators=2, max_iter=5, verbose=True).fit(table)

model = vp.MLPRegressor(hidden_layer_sizes=(2,), tol=1.0, verbose="bar").fit(X, X[:, 0])
"""


@pytest.mark.long
def test_cells_of_a_notebook_have_one_output_for_each_fit():
    nbformat, nbclient = (
        pytest.importorskip("nbformat"),
        pytest.importorskip("nbclient"),
    )
    pytest.importorskip("ipykernel")
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS.split("\n\n")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=300, allow_errors=True).execute()
    kinds = [
        [output.get("ename", output.output_type) for output in cell.outputs]
        for cell in notebook.cells
    ]
    bar = "display_data"
    assert kinds == [
        [],
        [bar, bar],
        [bar],
        [bar, "ZeroDivisionError"],
        [bar],
        [bar],
        [bar],
    ]
    texts = [cell.outputs[0].data["text/plain"] for cell in notebook.cells[1:]]
    assert all(
        re.match(r"\w+ ━* *\d+% 0:\d\d, .*rows/s, loss ", text) for text in texts
    )
