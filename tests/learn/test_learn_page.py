"""docs/learn.md is true: its programs run, one after the other."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "learn.md").read_text(encoding="utf-8")


def test_its_programs_run(capsys):
    names = {}
    for program in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(program, names)
    shown = capsys.readouterr().out
    [example] = re.findall(r"```text\n(J_W2.*?)```", PAGE, re.DOTALL)
    assert example in shown
