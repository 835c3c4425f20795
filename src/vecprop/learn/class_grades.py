"""Grade the submissions of a class, row by row."""

import csv
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from html import escape
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from .grading.grade import grade_file
from .grading.grades import MISSING, shown_points
from .grading.tasks import TASKS

Row = dict[str, str]

NO_FILE = "No file matches the name."
NO_NAME = "The file matches no name, or several."


class Submission(NamedTuple):
    """The file of a student; the path is empty if the file is missing."""

    name: str
    path: str
    notes: str = ""


class Settings(NamedTuple):
    """The folder of a class, the graded functions, and the limits of `grade_file`."""

    folder: Path
    functions: Sequence[str]
    seconds: float
    megabytes: int

    @property
    def columns(self) -> list[str]:
        ends = ("mistakes", "notes")
        return ["name", "file", "points", "out_of", *self.functions, *ends]


def submissions(folder: Path, names: Sequence[str]) -> list[Submission]:
    """Return the submission of each name, and then files without a name.

    Without names, each file or folder inside the folder is a submission.
    """
    groups: dict[str, list[Path]] = {name: [] for name in names}
    entries: dict[str, list[Path]] = {}
    for path in _sources(folder):
        relative = path.relative_to(folder)
        name = _name_in(relative, names)
        if name:
            groups[name].append(relative)
        else:
            entries.setdefault(relative.parts[0], []).append(relative)
    plan = []
    for name, paths in groups.items():
        if paths:
            plan.append(_submission(folder, name, paths, notes=""))
        else:
            plan.append(Submission(name, "", NO_FILE))
    for entry, paths in entries.items():
        name, notes = ("", NO_NAME) if names else (Path(entry).stem, "")
        plan.append(_submission(folder, name, paths, notes=notes))
    return plan


def _sources(folder):
    """Yield the source files below a folder, without links and hidden files."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        for name in sorted(files):
            path = Path(parent, name)
            is_source = path.suffix.lower() in (".py", ".ipynb", ".md")
            if (
                is_source
                and name[0] != "."
                and path.is_file()
                and not path.is_symlink()
            ):
                yield path


def _words(text):
    plain = unicodedata.normalize("NFKD", text).casefold()
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", letters)


def _name_in(path, names):
    """Return the name with the most words in a path, or "" if several names or no name have words in it."""
    words = set(_words(str(path)))
    joined = "".join(_words(str(path)))
    matches = {}
    for name in names:
        parts = _words(name)
        orders = ("".join(parts), "".join(reversed(parts)))
        is_joined = len(parts) > 1 and any(order in joined for order in orders)
        if parts and (words.issuperset(parts) or is_joined):
            matches[name] = len(parts)
    longest = max(matches.values(), default=0)
    names = [name for name, count in matches.items() if count == longest]
    return names[0] if len(names) == 1 else ""


def _submission(folder, name, paths, notes):
    """Return the file that defines most functions of the tutorial."""

    def definitions(path):
        try:
            with (folder / path).open("rb") as file:
                content = file.read(10 * 2**20).decode("utf-8", "replace")
        except OSError:
            return 0
        return len(set(re.findall(r"\bdef (\w+)", content)).intersection(TASKS))

    main_file = max(paths, key=definitions)
    skipped = [path.as_posix() for path in paths if path != main_file]
    if skipped:
        notes = f"{notes} Not graded: {', '.join(skipped)}.".strip()
    return Submission(name, main_file.as_posix(), notes)


def graded_rows(
    todo: Iterable[Submission], settings: Settings, jobs: int
) -> Iterator[Row]:
    """Yield the row of each submission, in order."""
    grade = partial(graded_row, settings=settings)
    if jobs == 1:
        yield from map(grade, todo)
        return
    executor = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        yield from executor.map(grade, todo)
    finally:
        executor.shutdown(cancel_futures=True)


def graded_row(submission: Submission, settings: Settings) -> Row:
    """Grade a submission; errors become notes."""
    row = dict.fromkeys(settings.columns, "")
    row |= {"name": submission.name, "file": submission.path, "points": "0"}
    row["out_of"] = str(len(settings.functions))
    row["notes"] = submission.notes
    if not submission.path:
        return row
    try:
        grades = grade_file(
            settings.folder / submission.path,
            settings.functions,
            seconds=settings.seconds,
            megabytes=settings.megabytes,
        )
    # one bad file must not stop the grading of other files
    except Exception as error:
        row["notes"] = f"{row['notes']} Not judged. {error}".strip()
        return row
    mistakes = []
    for name, grade in grades.items():
        row[name] = f"{grade.points:g}"
        if not grade.right:
            mistakes.append(f"{name}: {' '.join(grade.mistake.split())}")
    row["points"] = f"{shown_points(grades.points, grades.out_of):g}"
    row["mistakes"] = "\n".join(mistakes)
    row["notes"] = " ".join([row["notes"], *grades.notes, *grades.flags]).strip()
    return row


def plain_cell(text: str) -> str:
    """Format text so that spreadsheets do not execute it as a formula."""
    text = text.replace("\0", "").encode("utf-8", "replace").decode()
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def write_grades(
    out: Path, plan: Sequence[Submission], settings: Settings, jobs: int
) -> list[Row]:
    """Grade the submissions that have no row in the file yet, and return all rows.

    Each row is written when it is complete. At the end, the rows are in the order of
    the plan.
    """
    columns = settings.columns
    keys = [(plain_cell(name), plain_cell(path)) for name, path, _ in plan]
    rows = {key: row for key, row in _earlier_rows(out, columns).items() if key in keys}
    _replace(out, columns, rows.values())
    todo = []
    for key, submission in zip(keys, plan, strict=True):
        if key not in rows:
            todo.append(submission)
    with out.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        for row in graded_rows(todo, settings, jobs):
            row = {column: plain_cell(text) for column, text in row.items()}
            rows[row["name"], row["file"]] = row
            writer.writerow(row)
            file.flush()
    ordered = [rows[key] for key in keys]
    _replace(out, columns, ordered)
    return ordered


def _earlier_rows(out, columns):
    """Return the complete rows of a file by name and path; a file of other columns has none."""
    if not out.exists():
        return {}
    with out.open(encoding="utf-8", errors="replace", newline="") as file:
        text = file.read()
    complete, _, _ = text.rpartition("\n")  # a row may be cut off
    reader = csv.DictReader(io.StringIO(complete, newline=""))
    if reader.fieldnames != columns:
        raise ValueError(
            f"{out} contains other columns: choose another file, or --force."
        )
    rows = {}
    for row in reader:
        if None not in row.values() and None not in row:
            rows[row["name"], row["file"]] = row
    return rows


def _replace(out, columns, rows):
    """Write a table to a new file, and then replace the old file."""
    new = out.with_name(f"{out.name}.new")
    with new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    new.replace(out)


def write_summary(out: Path, rows: Sequence[Row], settings: Settings) -> None:
    """Write the mistakes and their numbers of students as a CSV file and as a page."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for line in row["mistakes"].splitlines():
            function, _, mistake = line.partition(": ")
            counts[function, mistake] += 1
    lines = []
    for (function, mistake), count in counts.most_common():
        lines.append({"students": count, "function": function, "mistake": mistake})
    columns = ["students", "function", "mistake"]
    stem = out.with_name(f"{out.stem}-mistakes")
    _replace(stem.with_suffix(".csv"), columns, lines)
    submitted = [row for row in rows if row["file"]]
    points = [float(row["points"]) for row in submitted]
    right = []
    for name in settings.functions:
        count = sum(row[name] == "1" for row in submitted)
        right.append({"function": name, "right": count})
    mean = sum(points) / max(len(points), 1)
    wrong = [line for line in lines if line["mistake"] != MISSING]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Mistakes</title>'
        "<style>body{font-family:sans-serif;margin:2em}td,th{padding:.2em 1em;"
        "text-align:left}</style><h1>Common mistakes</h1>"
        f"<p>{len(submitted)} submissions, {len(rows) - len(submitted)} missing. Mean:"
        f" {mean:.1f} of {len(settings.functions)} points.</p>"
        f"{_table(columns, wrong[:50])}<h2>Correct functions</h2>"
        f"{_table(['function', 'right'], right)}</html>"
    )
    stem.with_suffix(".html").write_text(page, encoding="utf-8")


def _table(columns, lines):
    html = "".join(f"<th>{column}</th>" for column in columns)
    for line in lines:
        cells = [f"<td>{escape(str(line[column]))}</td>" for column in columns]
        html += f"</tr><tr>{''.join(cells)}"
    return f"<table><tr>{html}</tr></table>"
