"""Ends and interruptions of trainings at random moments: ``python benchmarks/interruptions.py kills|strikes|commands``.

``kills``: processes that train with a checkpoint are ended, and the same work goes on,
see ``attack/kills.py``. ``strikes``: handlers of signals that raise, Ctrl-C and
exceptions that another thread sets strike fits, predictions, searches, files, checks
and the compiler, see ``attack/strikes.py``. ``commands``: Ctrl-C and SIGTERM strike
commands, see ``attack/signals.py``. Each seed runs in a separate process; what it has
shown is kept, so that an interrupted run continues.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from campaign import results_of
from machine import described, machine

ROOT = Path(__file__).parents[1]
COUNT = 200
"""The number of strikes of a seed."""

WORKS = [
    "small networks",
    "large networks",
    "networks with callbacks",
    "populations",
    "populations by workers",
    "estimators",
    "restarts",
    "ensembles",
    "searches",
    "tables",
    "the command",
    "rows in blocks",
]
"""The works of ``attack/kills.py``; their seeds begin with hundreds of their places."""

ENDS = [
    "killed",
    "killed inside a write",
    "SIGTERM",
    "exception",
    "full disk",
    "a second process was told",
]
STRIKES = {
    "alarm": "exception of a signal handler",
    "time-out": "TimeoutError of a signal handler",
    "Ctrl-C": "Ctrl-C",
    "set": "exception set by another thread",
}

CODES = {"0": "result", "130": "ended by Ctrl-C", "143": "ended by SIGTERM"}


def counted(program: str, *arguments: object) -> dict[str, int]:
    """Return what a program has counted, or say what went wrong."""
    # whose own threads spin
    environment = os.environ | {"VECPROP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            ROOT / "benchmarks" / "attack" / program,
            *map(str, arguments),
        ]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(f"{arguments}: {done.stderr}")
    return json.loads(done.stdout)


def table(
    rows: Mapping[str, Mapping[str, int]], columns: Mapping[str, str]
) -> list[str]:
    """Return counts by work as lines of a page, with the machine."""
    lines = [
        f"| {name} | {' | '.join(f'{of.get(kind, 0):,}' for kind in columns)} |"
        for name, of in rows.items()
    ]
    head = [
        f"| work | {' | '.join(columns.values())} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    return [
        "",
        *described(machine("vecprop", "numba", "scikit-learn")),
        "",
        *head,
        *lines,
    ]


def of_kills(found: dict[str, dict[str, int]]) -> list[str]:
    """Return the page of ends."""
    by_work = {name: Counter[str]() for name in WORKS}
    for seed, counts in found.items():
        by_work[WORKS[int(seed) // 100]].update(counts)
    total = sum(by_work.values(), Counter())
    return [
        "# Kills",
        "",
        (
            f"`python benchmarks/interruptions.py kills` ended {total['trainings']:,}"
            " trainings with a checkpoint"
        ),
        (
            f"{sum(total[kind] for kind in ENDS[:5]):,} times. Each training runs in a"
            " process. The optimizer,"
        ),
        (
            "the schedule, early stopping, the batch size, the type and dropout are"
            " random. A training was ended"
        ),
        (
            "up to eight times: by `kill -9` at a random moment or during a write, by"
            " SIGTERM, by an exception of"
        ),
        (
            "a signal handler, or by a full disk. A second process that opened a"
            " checkpoint in use got an error"
        ),
        (
            "that names the first process. After each end all files were read, and none"
            " was damaged. The same"
        ),
        (
            "program then resumed the training. The completed training had the bits of"
            " an uninterrupted one:"
        ),
        (
            "parameters, moments, best parameters, the reason for stopping and all"
            " curves except times. No"
        ),
        "temporary file remained.",
        *table(by_work | {"all": total}, {kind: kind for kind in ["trainings", *ENDS]}),
    ]


def of_strikes(found: dict[str, dict[str, int]]) -> list[str]:
    """Return the page of interruptions."""
    total = sum(map(Counter, found.values()), Counter())
    left, ignored = (
        max(of["threads that are left"] for of in found.values()),
        total["ignored by Python"],
    )
    del total["threads that are left"], total["ignored by Python"]
    works = sorted({name.partition(":")[0] for name in total})
    rows = {
        work.replace("_", " "): {kind: total[f"{work}: {kind}"] for kind in STRIKES}
        for work in works
    }
    return [
        "# Interruptions",
        "",
        (
            f"`python benchmarks/interruptions.py strikes` made {total.total():,}"
            " interruptions at random"
        ),
        (
            "moments, each of one to three exceptions. After each interruption, the"
            " exception had reached the"
        ),
        (
            "caller, or training had returned a result that resumed with the same bits."
            " No thread used the"
        ),
        (
            "processor, the handler of Ctrl-C was in place, locks were free, files were"
            " complete, and a"
        ),
        (
            f"repetition had the same bits. In {ignored}"
            f" {'case' if ignored == 1 else 'cases'}, the exception was"
        ),
        (
            "raised in a finalizer of another library, where Python ignores it."
            " Gradient checks and loading treat an"
        ),
        (
            "`Exception` as an error of the formula or the file, so they were"
            " interrupted by other exceptions. At most"
        ),
        f"{left} idle threads existed after {COUNT} interruptions.",
        *table(rows, STRIKES),
    ]


def of_commands(found: dict[str, dict[str, int]]) -> list[str]:
    """Return the page of signals."""
    total = sum(map(Counter, found.values()), Counter())
    names = dict.fromkeys(name.partition(":")[0] for name in total)
    rows = {name: {code: total[f"{name}: {code}"] for code in CODES} for name in names}
    return [
        "# Signals",
        "",
        (
            f"`python benchmarks/interruptions.py commands` ran {total.total():,}"
            " commands, and sent one or two signals to"
        ),
        (
            "each at random moments from its start to its end. Each ended with its"
            " result, or with the documented exit"
        ),
        (
            "code and one sentence, without a traceback and without unfinished files."
            " The same command then succeeded."
        ),
        "With a checkpoint, the model had the bits of an uninterrupted run.",
        *table(rows, CODES),
    ]


def main() -> None:
    if sys.argv[1:2] == ["kills"]:
        seeds = [
            100 * place + number for number in range(8) for place in range(len(WORKS))
        ]
        name, one, page = (
            "kills",
            lambda seed: counted("kills.py", WORKS[seed // 100], seed),
            of_kills,
        )
    elif sys.argv[1:2] == ["commands"]:
        seeds = list(range(20))
        name, one, page = (
            "signals",
            lambda seed: counted("signals.py", seed, 50),
            of_commands,
        )
    else:
        seeds = list(range(100, 150))
        name, one, page = (
            "interruptions",
            lambda seed: counted("strikes.py", seed, COUNT),
            of_strikes,
        )
    del sys.argv[1:2]
    found, is_whole = results_of(f"vecprop-{name}", __doc__, seeds, one)
    text = "\n".join(page(found)) + "\n"
    if is_whole:
        (ROOT / "benchmarks" / "results" / f"{name}.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
