"""Test errors of ``vecprop playground`` before the page is served."""

import pytest

pytest.importorskip("bokeh", reason='pip install "vecprop[playground]"')


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("none.csv",), 3, "There is no file none.csv in "),
        (("--open", "data=none"), 2, "data must be one of circles, moons"),
        (("--open", "data=table"), 2, "data=table needs a table: open a file first.\n"),
        (
            ("small.csv",),
            3,
            (
                "The table has 1 rows and 2 columns, but at least 4 rows and 3 columns"
                " are needed"
            ),
        ),
    ],
)
def test_errors_are_one_sentence(vecprop, tmp_path, arguments, code, sentence):
    (tmp_path / "small.csv").write_text("a,b\n1,2\n")
    assert vecprop(
        "playground", "--no-browser", *arguments, code=code
    ).stderr.startswith(sentence)


def test_without_bokeh_the_error_says_what_to_install(vecprop, without_package):
    importers = [f"vecprop.learn.playground.{name}" for name in ("page", "server")]
    without_package("bokeh", *importers)
    assert (
        vecprop("playground", code=1).stderr
        == 'The playground needs bokeh: pip install "vecprop[playground]".\n'
    )
