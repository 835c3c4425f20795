"""Infer the layout of a text table from its start: titles, header and separator. Recognize files of other formats."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise, takewhile
from math import isfinite
from pathlib import Path

from ..error import TableError

MISSING_WORDS = frozenset(
    (
        "",
        "?",
        "NA",
        "N/A",
        "n/a",
        "<NA>",
        "#N/A",
        "#NA",
        "#N/A N/A",
        "NULL",
        "null",
        "NaN",
        "nan",
        "-NaN",
        "-nan",
    )
)
"""Markers of missing values in text files; "None" is not one, since it may be a
class or a category.
"""
SEPARATORS = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "bar",
    "^": "caret",
    "~": "tilde",
    "\1": "Ctrl-A",
}
SAMPLED = 200
"""The number of lines that show the layout."""
MOST_TITLES = 50
"""The largest number of rows above the header."""
_YEAR = re.compile(r"(19|20)\d\d")
_NUMBER = re.compile(r"\W{0,3}\d")
_LINES = "[ |+:=─━═│║┌┬┐├┼┤└┴┘╭╮╰╯╞╪╡╒╤╕╔╦╗╠╬╣╚╩╝-]*"
_DRAWN = re.compile(rf"{_LINES}(---|==|[─━═]){_LINES}|-\[ RECORD.*")
_FOOTER = r"\(?\d+ rows?\b.*|(source|note|quelle)s?:.*"
_TOTAL = (
    r"(.{1,40} )?(sub)?total|total\b.*|summe?|suma|somme|gesamt|insgesamt|(overall"
    r" )?(mean|average)|mittelwert|"
    "durchschnitt|moyenne|media"
)
_END = re.compile(rf"{_TOTAL}|{_FOOTER}", re.IGNORECASE)
"""The label of a total or of a footer."""
_FORMATS = {
    "a PDF document": (rb"%PDF-\d", "export its table as CSV"),
    "a workbook in the old .xls format": (rb"\xd0\xcf\x11\xe0", "save it as .xlsx"),
    "an R file": (
        rb"X\n\0|RD[AX]\d\n[AX]\n",
        "save it in R with write.csv(x, file, row.names = FALSE)",
    ),
    "a model file": (
        rb"(?s)PK\x03\x04.{26}document\.npy",
        "pass a table, such as a CSV file",
    ),
    "a NumPy archive": (
        rb"(?s)PK\x03\x04.{26}[^/]*\.npy",
        "numpy.load, pandas.DataFrame",
    ),
    "a zip file": (rb"PK\x03\x04", "name it .zip, or .xlsx if it is a workbook"),
    "a pointer of Git LFS": (
        rb"version https://git-lfs",
        "download the file with git lfs pull",
    ),
    "a tar archive": (rb"(?s).{257}ustar", "extract it, and pass the table"),
    "an SPSS file": (rb"\$FL[23]@", "pandas.read_spss"),
    "a Stata file": (rb"<stata_dta>|[\x69-\x73][\x01\x02]\x01\0", "pandas.read_stata"),
    "a SAS file": (rb"\0{12}\xc2\xea\x81\x60", "pandas.read_sas"),
    "a SQLite database": (rb"SQLite format 3", "pandas.read_sql"),
    "an HDF5 file": (rb"\x89HDF", "pandas.read_hdf"),
    "a NumPy file": (rb"\x93NUMPY", "numpy.load, pandas.DataFrame"),
    "a pickle": (rb"\x80[\x02-\x05]", "pandas.read_pickle"),
    "an ORC file": (rb"(?s)ORC[\0-\x1f].{0,200}[\0-\x08]", "pandas.read_orc"),
    "HTML or XML": (
        rb"(?i)\s*<(!doctype|html|table|\?xml|[a-z][^<>]*>([\r\n]\s*)?<)",
        "pandas.read_html or read_xml",
    ),
    "JSON": (
        rb"\s*(\{\s*[\"}]|\[\s*[\[{])",
        "pandas.read_json (pandas.json_normalize for nested records)",
    ),
}
"""The start of files in other formats, and the reader in Python or another advice."""


def require_text(path: Path, start: bytes) -> None:
    """Raise an error with advice if a file starts as a format other than delimited text."""
    for kind, (pattern, advice) in _FORMATS.items():
        if not re.match(pattern, start):
            continue
        if advice.startswith(("pandas.", "numpy.")):
            advice = f"save it as CSV, for example with {advice} and to_csv"
        raise TableError(f"{path} is {kind}, not delimited text: {advice}.")


def require_plain_layout(path: Path, lines: Sequence[str], separator: str) -> None:
    """Raise an error if lines are drawn between the rows or columns of a table, or if its columns are aligned."""
    if any(_DRAWN.fullmatch(line.strip()) for line in lines[:3]):
        raise TableError(
            f"{path} is a table drawn with lines: export it as CSV, for example with"
            " psql --csv, mysql --batch or sqlite3 -csv -header."
        )
    is_aligned = all(re.search(r"\S {2,}\S", line) for line in lines[:20])
    if is_aligned and len(lines) > 1 and separator != " " and separator not in lines[0]:
        raise TableError(
            f"{path} has columns of fixed width, without separators: save it as CSV,"
            " for example with pandas.read_fwf and to_csv."
        )


def title_lines(lines: Sequence[str], separator: str) -> tuple[int, str]:
    """Return the number of lines with titles above the header, and the separator, which may be known.

    Examples
    --------
    >>> title_lines(["Towns of Europe", "", "town;size", "Rome;2,5", "Oslo;0,5"], "")
    (2, ';')
    """
    usual = separator or separator_of([line for line in lines if line.strip()])
    separators = [usual]
    widths = [len(row) for row in rows_of(lines, usual) if row]
    # otherwise the first line can be the header
    if not separator and (widths[0] == 1 or widths[0] < max(widths)):
        separators.extend(SEPARATORS)
    layouts = [(0, 0, usual)]
    for separator in separators:
        rows, ends = numbered_rows(lines, separator)
        if not header_row(rows):
            continue
        unstripped = csv.reader(lines[:SAMPLED], delimiter=separator)
        values = chain.from_iterable(row[1:] for row in unstripped)
        header = header_row(rows, any(value.startswith(" ") for value in values))
        if header:
            layouts.append((len(rows[header]), ends[header - 1], separator))
    _, above, separator = max(layouts)
    return above, separator


def numbered_rows(
    lines: Sequence[str], separator: str
) -> tuple[list[list[str]], list[int]]:
    """Split the first lines into rows; return the rows, also empty ones, and the number of the last line of each."""
    rows = []
    ends = []
    reader = csv.reader(lines[:SAMPLED], delimiter=separator, skipinitialspace=True)
    for row in reader:
        rows.append([value.strip() for value in row])
        ends.append(reader.line_num)
    return rows, ends


def rows_of(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Split the first lines into rows of values."""
    rows, _ = numbered_rows(lines, separator)
    return rows


def header_row(rows: Sequence[Sequence[str]], is_prose: bool = False) -> int:
    """Return the index of the header, which is 0 unless the rows above it are titles.

    A title fills at most half of the columns, or an empty row follows it. The header
    names all columns except possibly the first one. Numbers below it, years, titles
    with empty values or, unless the rows may be prose, an empty row above it
    distinguish it from the rows.

    Examples
    --------
    >>> header_row([["Towns"], ["town", "size", "year"], ["Rome", "2.5", "1990"]])
    1
    """
    widths = Counter(len(row) for row in rows if len(row) > 1)
    width = max(sorted(widths, reverse=True), key=widths.__getitem__, default=0)
    complete = [
        index
        for index, row in enumerate(rows[:MOST_TITLES])
        if len(row) == width and all(row[1:])
    ]
    header = complete[0] if complete else 0
    titles = rows[:header]
    below = [row for row in rows[header + 1 :] if any(row)]
    regular = [row for row in below if len(row) == width]
    if not titles or not regular or 2 * len(regular) < len(below):
        return 0
    names = rows[header]
    is_apart = not any(titles[-1])
    if not all(_is_title(title, width, is_apart) for title in titles):
        return 0
    if not _names_columns(names, regular):
        return 0
    if is_apart and not is_prose:
        return header
    is_padded = width > 2 and all(
        len(title) == width and sum(map(bool, title)) < 2 for title in titles
    )
    has_years = any(map(_YEAR.fullmatch, names))
    if is_padded or has_years or differ_from_numbers(names, below):
        return header
    return 0


def _is_title(row: Sequence[str], width: int, is_apart: bool) -> bool:
    """Return whether a row above the header may be a title: it is short, and no row of numbers."""
    count = sum(map(bool, row))
    if count > 1 and _NUMBER.match(row[0]):
        return False
    return 2 * count <= width or (is_apart and count < width)


def _names_columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether values may be the header of some rows: distinct names, which are texts or numbers like years."""
    texts = [name for name in names if not is_number(name)]
    is_distinct = len(set(names)) == len(names) and MISSING_WORDS.isdisjoint(names[1:])
    if not is_distinct or not any(texts) or any(map(_NUMBER.match, texts)):
        return False
    return not names_are_values([list(names), *map(list, rows)])


def differ_from_numbers(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether most values of a column are numbers, but its name is text."""
    for column, name in enumerate(names):
        if name in MISSING_WORDS or _NUMBER.match(name):
            continue
        values = [row[column] for row in rows if len(row) > column]
        values = [value for value in values if value not in MISSING_WORDS]
        if len(list(filter(_NUMBER.match, values))) > 0.8 * len(values):
            return True
    return False


def second_header(rows: Sequence[Sequence[str]]) -> int:
    """Return the index of a row, after an empty row, that looks like the header of another table, or 0.

    Examples
    --------
    >>> second_header([["a", "b"], ["1", "2"], [], ["c", "d"], ["3", "4"]])
    3
    """
    for index in range(3, len(rows) - 1):
        names = rows[index]
        is_complete = len(names) > 1 and MISSING_WORDS.isdisjoint(names)
        is_after_gap = not any(rows[index - 1])
        if not is_complete or not is_after_gap or any(map(_NUMBER.match, names)):
            continue
        above = [row for row in rows[1:index] if any(row)]
        below = rows[index + 1 :]
        if differ_from_numbers(names, above) or differ_from_numbers(names, below):
            return index
    return 0


def is_total(text: str) -> bool:
    """Return whether a text is the label of a total or of a footer."""
    return _END.fullmatch(text.strip()) is not None


def declared_separator(line: str) -> str:
    """Return the separator that Excel's ``sep=`` declares, or an empty string."""
    declared = re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE)
    return declared[1] if declared else ""


def lines_above(lines: Sequence[str]) -> tuple[int, str]:
    """Return the number of lines above the header, and the separator if Excel's ``sep=`` declares it.

    Comments count as lines above the header, unless the last comment is the header.

    Examples
    --------
    >>> lines_above(["sep=;", "a;b"]), lines_above(["# made by hand", "a,b", "1,2"]), lines_above(["#a,b", "1,2"])
    ((1, ';'), (1, ''), (0, ''))
    """
    declared = declared_separator(lines[0]) if lines else ""
    if declared:
        return 1, declared
    top = list(takewhile(re.compile(r"#|\s*$").match, lines))
    if len(top) == len(lines):
        return 0, ""
    while top and not top[-1].strip():
        top.pop()
    if not top:
        return 0, ""
    below = [line for line in lines[len(top) :] if line.strip()]
    comment, *rows = rows_of([top[-1], *below[:2]], separator_of(below))
    if not rows:  # a quotation mark joins the comment with the table
        return len(top), ""
    have_numbers = [any(map(is_number, row)) for row in rows]
    if len(comment) == len(rows[0]) > 1 and have_numbers != [False, True]:
        top.pop()  # the last comment is the header
    return len(top), ""


def separator_of(lines: list[str]) -> str:
    """Return the separator that splits the most lines into the same number of values as the first line.

    Ties go to the separator with the most values. Spaces are separators only if no
    other one occurs in the first line, all lines have the same number of values, and
    some values are numbers.

    Examples
    --------
    >>> separator_of(["a;b", "1,5;2", "3,25;4"]), separator_of(["a"]), separator_of(["a  b", "1  2"])
    (';', ',', ' ')
    """
    lines = lines[:SAMPLED]
    scores = {}
    with long_values():
        for separator in SEPARATORS:
            widths = [len(row) for row in csv.reader(lines, delimiter=separator)]
            width = widths[0]
            if width > 1:
                scores[separator] = (widths.count(width), width)
        if scores:
            return max(scores, key=scores.__getitem__)
        first, *rows = rows_of(lines, " ")
    are_equal = len(first) > 1 and all(len(row) == len(first) for row in rows)
    if are_equal and any(map(is_number, chain.from_iterable(rows))):
        return " "
    return ","


def names_are_values(rows: list[list[str]]) -> bool:
    """Return whether the header of a text table looks like a row of data.

    A header looks like data if it contains numbers in exactly the numeric columns
    (except evenly spaced integers, such as years), or if its texts occur as values in
    their columns.

    Examples
    --------
    >>> names_are_values([["5.1", "3", "setosa"], ["4.9", "3", "setosa"]])
    True
    >>> names_are_values([["town", "2020", "2021"], ["Rome", "1.5", "2.5"]])
    False
    """
    names = rows[0]
    equal_rows = [row for row in rows[1:] if len(row) == len(names) and row != names]
    numbers = []
    occurrences = []
    for name, *column in zip(names, *equal_rows, strict=True):
        values = [value for value in column if value not in MISSING_WORDS]
        if name in MISSING_WORDS or not values:
            continue
        is_numeric = len(list(filter(is_number, values))) > 0.9 * len(values)
        if is_number(name) != is_numeric:
            return False
        if is_numeric:
            numbers.append(float(name))
        else:
            occurrences.append(name in values)
    if not numbers:
        return bool(occurrences) and all(occurrences)
    return not _are_marks(numbers) or any(occurrences)


def _are_marks(numbers: Sequence[float]) -> bool:
    """Return whether numbers are evenly spaced integers, such as years."""
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    if len(numbers) == 2 and steps != {1}:
        return False
    return len(steps) < 2 and all(number.is_integer() for number in numbers)


def is_number(text: str) -> bool:
    """Return whether Python can parse a string as a finite number."""
    try:
        return isfinite(float(text))
    except ValueError:
        return False


@contextmanager
def long_values() -> Iterator[None]:
    """Let the csv module read values of any length, as pandas does. Its default limit is 131,072 characters."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
