"""Damaged tables: each becomes a model, or one sentence with a documented code and no file."""

import gzip
from collections import Counter
from importlib.util import find_spec
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

import vecprop as vp

FEW = ("--max-iter", 2, "--n-estimators", 2, "--hidden-layer-sizes", 4)
"""Options of a training that takes a tenth of a second."""

ODD = b'|\x00|\xff|\xef\xbb\xbf|\r|\n|\n\n|\t|;|,|"|\'|""|\\|1e999|-1e400|nan|inf|-Infinity|1,5|1.234,5|0x1F|1_0'.split(
    b"|"
)
ODD += (
    b"NULL|2024-13-45|9999-12-31|0000-00-00|true|\xe9|=1+1|age|{}|# no| |-|+|.".split(
        b"|"
    )
)
ODD += [b"|", b"9" * 400, b"1" * 70_000, "\u2028".encode(), "\U0001f600".encode()]
"""What is put into tables."""


def people(rows=40):
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, rows)
    return pd.DataFrame(
        {
            "age": age,
            "height": rng.normal(1.7, 0.1, rows).round(3),
            "town": rng.choice(["Rome", "Oslo, N", 'the "Hague"'], rows),
            "since": pd.date_range("2020-01-01", periods=rows, freq="9h"),
            "said": [f"word{k % 7} and word{k % 5}" for k in range(rows)],
            "member": rng.random(rows) < 0.5,
            "buys": np.where(age > 50, "yes", "no"),
            "spends": age * 2.5,
        }
    )


def bytes_of(write, *arguments, **options):
    """Return a table as a method of pandas writes it."""
    stream = BytesIO()
    getattr(people(), write)(stream, *arguments, **options)
    return stream.getvalue()


CSV = bytes_of("to_csv", index=False)
WHOLE = {
    ".csv": CSV,
    ".txt": bytes_of("to_csv", index=False, sep=";", decimal=","),
    ".csv.gz": gzip.compress(CSV, mtime=0),
    ".parquet": bytes_of("to_parquet"),
    ".feather": bytes_of("to_feather"),
    ".zip": bytes_of(
        "to_csv",
        index=False,
        compression={"method": "zip", "archive_name": "people.csv"},
    ),
    ".csv.zst": pyarrow.compress(CSV, "zstd", asbytes=True),
    **({".xlsx": bytes_of("to_excel", index=False)} if find_spec("openpyxl") else {}),
}


def damaged(content, rng):
    """Return bytes that something has happened to, once or a few times."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        content = DAMAGES[rng.integers(len(DAMAGES))](content, rng)
    return content


def cut(content, rng, count):
    """Return a content in parts, cut at random places."""
    places = [
        0,
        *sorted(rng.integers(0, len(content) + 1, count).tolist()),
        len(content),
    ]
    return [content[first:last] for first, last in pairwise(places)]


def shuffle(content, rng):
    first, second, third, last = cut(content, rng, 3)
    return first + third + second + last


def remove(content, rng):
    first, middle, last = cut(content, rng, 2)
    return first + middle[200:] + last


def repeat(content, rng):
    first, middle, last = cut(content, rng, 2)
    return first + middle + middle + last


def flip_bits(content, rng):
    changed = bytearray(content)
    for place in rng.integers(0, max(len(content), 1), rng.integers(1, 9)):
        changed[place : place + 1] = bytes(
            [byte ^ (1 << int(rng.integers(8))) for byte in changed[place : place + 1]]
        )
    return bytes(changed)


def insert(content, rng):
    first, *others = cut(content, rng, rng.integers(1, 5))
    return first + b"".join(ODD[rng.integers(len(ODD))] + part for part in others)


def of_lines(change):
    """Return a damage of some lines of text; of other bytes too, as far as they have lines."""

    def damage(content, rng):
        lines = content.split(b"\n")
        for number in rng.integers(0, len(lines), rng.integers(1, 5)):
            lines[number] = change(lines[number], rng)
        return b"\n".join(lines)

    return damage


def replace_field(line, rng):
    fields = line.split(b",")
    fields[rng.integers(len(fields))] = ODD[rng.integers(len(ODD))]
    return b",".join(fields)


def replace_first_fields(content, rng):
    """Change a column in every row, or the names."""
    lines, number, odd = (
        content.split(b"\n"),
        int(rng.integers(8)),
        ODD[rng.integers(len(ODD))],
    )
    for line in range(int(rng.integers(2)), len(lines)):
        fields = lines[line].split(b",")
        fields[number % len(fields)] = odd
        lines[line] = b",".join(fields)
    return b"\n".join(lines)


DAMAGES = [
    *(
        flip_bits,
        insert,
        remove,
        repeat,
        shuffle,
        replace_first_fields,
        of_lines(replace_field),
    ),
    lambda content, rng: cut(content, rng, 1)[0],
    of_lines(
        lambda line, rng: line.replace(
            b",", [b";", b"\t", b"|", b", "][rng.integers(4)]
        )
    ),
    of_lines(lambda line, rng: b'"' + line),
    of_lines(lambda line, rng: line + b",1,2"),
    of_lines(lambda line, rng: line.rpartition(b",")[0]),
    of_lines(lambda line, rng: b""),
    of_lines(lambda line, rng: line * 2),
    lambda content, rng: content.replace(
        b"\n", [b"\r", b"\r\n", b"\n\n", b"\r\r\n"][rng.integers(4)]
    ),
    lambda content, rng: content.replace(b".", b","),
    lambda content, rng: content.replace(b"height", b"age"),
    lambda content, rng: content.replace(
        b",", [b";", b"\t", b"|", b"\x00", b" "][rng.integers(5)]
    ),
    lambda content, rng: content.decode("latin-1").encode(
        ["utf-16", "utf-32", "utf-8", "cp037"][rng.integers(4)]
    ),
    lambda content, rng: b"",
    lambda content, rng: rng.bytes(int(rng.integers(1, 3000))),
    lambda content, rng: gzip.compress(content),
]


def run(vecprop, model, count, seed):
    """Run commands on damaged tables; return how often each ended with which code."""
    rng, codes = np.random.default_rng(seed), Counter()
    for number in range(count):
        suffix = list(WHOLE)[number % len(WHOLE)]
        name, target = f"table{suffix}", ("buys", "spends")[rng.integers(2)]
        content = WHOLE[suffix]
        if suffix == ".csv.gz" and rng.integers(2):
            content = gzip.compress(damaged(gzip.decompress(content), rng))
        else:
            content = damaged(content, rng)
        Path(name).write_bytes(content)
        command, *arguments = [
            ["train", name, "--target", target, "-o", "out.npz", *FEW],
            [
                "predict",
                model,
                name,
                "-o",
                "out.csv",
                "--chunk",
                int(rng.integers(1, 50)),
            ],
            ["evaluate", model, name],
        ][rng.integers(3)]
        done = vecprop(command, *arguments, code=None)
        codes[command, done.exit_code] += 1
        assert_clean(
            done, command, name, (command, number, seed, content[:200], done.output)
        )
        for path in Path().iterdir():
            path.unlink()
    return codes


def assert_clean(done, command, table, story):
    """Check how a command has ended, and what it has left in the folder."""
    left = {path.name for path in Path().iterdir()} - {table}
    assert done.exception is None or isinstance(done.exception, SystemExit), story
    assert "Traceback" not in done.output, story
    assert max(map(len, ["", *done.stderr.splitlines()])) <= 500, story
    assert "\x1b" not in done.stderr, story
    assert "bug in vecprop" not in done.output, story
    assert done.exit_code in (0, 3, 4), story
    if done.exit_code:
        assert (done.stdout, left) == ("", set()), story
        *notes, _ = done.stderr.splitlines()
        assert all(note.startswith("Note: ") for note in notes), story
    elif command == "train":
        assert left == {"out.npz", "out.toml"}, story
        assert np.isfinite(vp.load("out.npz").ensemble_.theta).all(), story
    elif command == "predict":
        assert left == {"out.csv"}, story
        assert np.isfinite(pd.read_csv("out.csv").prediction).all(), story


BAD = {
    "long.csv": (
        b"a,b\n1,2\n1,2,3\n",
        "line 3: the row has 3 values, but the header names 2 columns",
    ),
    "all_long.csv": (
        b"a,b\n1,2,3\n1,2,3\n",
        "line 2: the row has 3 values, but the header names 2 columns",
    ),
    "twice.csv": (b"a,b,a\n1,2,3\n", "has two columns named 'a' (columns 1 and 3)"),
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"\n \n", "is empty"),
    "no_rows.csv": (b"a,b\n", "has 2 columns and 0 rows"),
    "json.csv": (
        b'{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n',
        (
            "is JSON, not delimited text: save it as CSV, for example with"
            " pandas.read_json"
        ),
    ),
    "page.csv": (
        b"<html><table><tr><td>1</td></tr></table></html>\n",
        "is HTML or XML, not delimited text",
    ),
    "zero.csv": (b"a,b\n" + 600 * b"1,2\n" + b"1,\0\n", "is not text: save it as CSV"),
    "binary.csv": (
        b"PK\x03\x04\x00\x01" * 9,
        "is a zip file, not delimited text: name it",
    ),
    "late.csv": (
        b"a\n" + b"x" * 99 + b"\n" + (b"x" * 99 + b"\n") * 11_000 + b"\xff\xfe\n",
        "save it as UTF-8",
    ),
    "broken.csv.gz": (
        gzip.compress(b"a,b\n1,2\n" * 999)[:30],
        "cannot be uncompressed",
    ),
    "foreign.csv.zst": (b"a,b\n1,2\n", "cannot be uncompressed"),
    "foreign.csv.gz": (b"a,b\n1,2\n", "cannot be uncompressed"),
    "broken.parquet": (b"PAR1 and nothing else", "cannot be read as a parquet file"),
    "broken.feather": (b"nothing", "cannot be read as a feather file"),
}
"""Files that do not contain a table, with a part of the error on each."""
