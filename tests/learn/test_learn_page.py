"""docs/learn.md is true: its programs run, one after the other."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "learn.md").read_text(encoding="utf-8")


def test_its_programs_run(capsys):
    names = {}
    for program in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(program, names)
    shown = capsys.readouterr().out
    examples = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 2
    assert all(example in shown for example in examples)
    assert "the loss is N = 7 times what it should be" in shown
