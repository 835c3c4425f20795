"""Thousands of damaged tables: each becomes a model, or one sentence with a documented code and no file."""

import gzip
import zipfile
from collections import Counter
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest

import vecprop as vp
from shared_commands import FAST

ODD = [
    *[b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b"\t", b";", b",", b"|", b'"', b"'", b'""', b"\\"],
    *[
        b"1e999",
        b"-1e400",
        b"9" * 400,
        b"1" * 70_000,
        b"nan",
        b"inf",
        b"-Infinity",
        b"1,5",
        b"1.234,5",
        b"0x1F",
        b"1_0",
    ],
    *[b"NULL", b"2024-13-45", b"9999-12-31", b"0000-00-00", b"true", "\u2028".encode(), "é".encode("latin-1")],
    *[b"=1+1", b"age", b"{}", b"# no", b" ", "\U0001f600".encode(), b"-", b"+", b"."],
]
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


def written(suffix):
    """Return a table as a file of a kind has it."""
    stream, frame = BytesIO(), people()
    if suffix == ".parquet":
        frame.to_parquet(stream)
    elif suffix == ".feather":
        frame.to_feather(stream)
    elif suffix == ".xlsx":
        frame.to_excel(stream, index=False)
    elif suffix != ".txt":
        frame.to_csv(stream, index=False)
    else:
        frame.to_csv(stream, index=False, sep=";", decimal=",")
    content = stream.getvalue()
    if suffix == ".zip":
        packed = BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("people.csv", content)
        return packed.getvalue()
    packers = {
        ".csv.gz": lambda content: gzip.compress(content, mtime=0),
        ".csv.zst": lambda content: pyarrow.compress(content, "zstd", asbytes=True),
    }
    return packers.get(suffix, bytes)(content)


KINDS = (
    ".csv",
    ".txt",
    ".csv.gz",
    ".parquet",
    ".feather",
    ".zip",
    ".csv.zst",
    *([".xlsx"] * bool(find_spec("openpyxl"))),
)
WHOLE = {suffix: written(suffix) for suffix in KINDS}


def damaged(content, rng):
    """Return bytes that something has happened to, once or a few times."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        content = DAMAGES[rng.integers(len(DAMAGES))](content, rng)
    return content


def places(content, rng, count):
    return sorted(rng.integers(0, len(content) + 1, count).tolist())


def truncate(content, rng):
    return content[: places(content, rng, 1)[0]]


def flip_bits(content, rng):
    changed = bytearray(content)
    for place in rng.integers(0, max(len(content), 1), rng.integers(1, 9)):
        changed[place : place + 1] = bytes([byte ^ (1 << int(rng.integers(8))) for byte in changed[place : place + 1]])
    return bytes(changed)


def insert(content, rng):
    for place in reversed(places(content, rng, rng.integers(1, 5))):
        content = content[:place] + ODD[rng.integers(len(ODD))] + content[place:]
    return content


def remove(content, rng):
    first, last = places(content, rng, 2)
    return content[:first] + content[min(last, first + 200) :]


def repeat(content, rng):
    first, last = places(content, rng, 2)
    return content[:last] + content[first:]


def shuffle(content, rng):
    a, b, c = places(content, rng, 3)
    return content[:a] + content[b:c] + content[a:b] + content[c:]


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
    lines, number, odd = content.split(b"\n"), int(rng.integers(8)), ODD[rng.integers(len(ODD))]
    for line in range(int(rng.integers(2)), len(lines)):
        fields = lines[line].split(b",")
        fields[number % len(fields)] = odd
        lines[line] = b",".join(fields)
    return b"\n".join(lines)


DAMAGES = [
    *(truncate, flip_bits, insert, remove, repeat, shuffle, replace_first_fields),
    of_lines(replace_field),
    of_lines(lambda line, rng: line.replace(b",", [b";", b"\t", b"|", b", "][rng.integers(4)])),
    of_lines(lambda line, rng: b'"' + line),
    of_lines(lambda line, rng: line + b",1,2"),
    of_lines(lambda line, rng: line.rpartition(b",")[0]),
    of_lines(lambda line, rng: b""),
    of_lines(lambda line, rng: line * 2),
    lambda content, rng: content.replace(b"\n", [b"\r", b"\r\n", b"\n\n", b"\r\r\n"][rng.integers(4)]),
    lambda content, rng: content.replace(b".", b","),
    lambda content, rng: content.replace(b"height", b"age"),
    lambda content, rng: content.replace(b",", [b";", b"\t", b"|", b"\x00", b" "][rng.integers(5)]),
    lambda content, rng: content.decode("latin-1").encode(["utf-16", "utf-32", "utf-8", "cp037"][rng.integers(4)]),
    lambda content, rng: b"",
    lambda content, rng: rng.bytes(int(rng.integers(1, 3000))),
    lambda content, rng: gzip.compress(content),
]


pytestmark = pytest.mark.filterwarnings("default")  # as a user has them, who is told of each in a note


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "spends.npz"
    vp.save(vp.TabularRegressor("spends", n_members=2, hidden_layer_sizes=4, max_iter=2).fit(people()), path)
    return path


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
            ["train", name, "--target", target, "-o", "out.npz", *FAST],
            ["predict", model, name, "-o", "out.csv", "--chunk", int(rng.integers(1, 50))],
            ["evaluate", model, name],
        ][rng.integers(3)]
        done = vecprop(command, *arguments)
        codes[command, done.exit_code] += 1
        assert_clean(done, command, name, (command, number, seed, content[:200], done.output))
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
    assert "fault of vecprop" not in done.output, story
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


@pytest.mark.long
def test_damaged_tables(vecprop, model):
    codes = run(vecprop, model, 50, seed=0)
    assert {code for _, code in codes} == {0, 3}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 6))
def test_thousands_of_damaged_tables(vecprop, model, seed):
    run(vecprop, model, 1000, seed)
