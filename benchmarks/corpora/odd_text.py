"""Text files with odd values and layouts, drawn at random."""

import random

VALUES = [
    *["1", "2.5", "-3", "+4", "007", "-01", "0", "-0", "-0.0", "00", "0.5", "1.", ".5"],
    *["1e5", "1E-3", "1e400", "1e-400", "-1e400", "1e22", "2.5e-308", "-", ".", "e5"],
    *["0x1F", "0b1", "1_000", "1d5", "1-", "--1", "1 2", "- 1", "5e", "1e+", "1f"],
    *["inf", "-inf", "+inf", "Infinity", "nan", "NaN", "-nan", "+nan", "NAN"],
    *["999999999999999", "1000000000000000", "1e15", "123456789012345678"],
    *["1234567890123456.5", "9223372036854775807", "9223372036854775808"],
    *["18446744073709551615", "18446744073709551616", "-9223372036854775809"],
    *["0.1234567890123456", "0.30000000000000004", "12345678901234567890123"],
    *["NA", "", "None", "none", "null", "NULL", "N/A", "#N/A N/A", "?", "NA ", "n/a"],
    *["true", "FALSE", "True", "yes", "x", "é", "日本", "1,5", "1.234,5", "1.234"],
    *["2024-01-01", "31.12.2023", "12:30", "$5", "5 kg", "10%", "Total", "Summe:"],
    *['"a,b"', '"a;b"', '"a""b"', '"q"', '""', '""""', '"1"', '"NA"', '" 1"', '"1 "'],
    *['a"b', '"a"b', 'a""b', '"a', "'a'", "“a”", '"line\nbreak"', '"a\rb"', '"a\tb"'],
    *[
        " 1",
        "1 ",
        "  x",
        "\t1",
        "1\t",
        "\u00a01",
        "٣",
        "１",
        "\ufeff1",
        "\u20281",
        "\0",
    ],
    *["\x0b1", "\x0c", "\x1a", "#", "# comment", "\\", "a\\,b", "y", "a" * 300],
]
KINDS = [
    *[["1", "2", "33"], ["1.5", "2", "-3e2"], ["true", "False"], ["a", "b"]],
    *[["1", "NA", ""], ["007", "1"], ["1", "0x1F"], ["1", "inf"], ["1", "None"]],
    *[["123456789012345678", "1"], ["123456789012345678", "1.5"], ["+1", "-2"]],
    *[["-01", "2"], ["1 ", "2"], ['"1"', "2"], ['"a"', '"b ""c"""'], ["1.10", "1.1"]],
    *[["", "NA"], ["None", "1.5"], ["0", "00"], ["1e5", "2"], ["1.0", "2.0", "3"]],
    *[["true", "False", ""], ["true", "yes"], ["True", "None"], ["1", "2", "x"]],
    *[["2024-01-01", "2024-02-29"], ["1,5", "2,25"], ["1 000", "2 500"], ["-0", "0"]],
    *[["12", "1e3", ".5"], ["9223372036854775808", "1"], ["é", "日本"], ["red", "?"]],
    VALUES,
]
"""The values of columns."""
SEPARATORS = [",", ",", ";", "\t", "|", " ", "^"]
NAMES = ["a", "b", "c d", '"n"', "x1", "1", "é", "y ", '"a,b"']
ENCODINGS = ["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]
ABOVE = ["# made by hand", "sep={}", "A title", "", "  "]


def number(rng: random.Random) -> str:
    """Return a number with up to 20 digits, possibly with an exponent."""
    digits = "".join(rng.choices("0123456789", k=rng.randint(1, 20)))
    place = rng.randint(0, len(digits))
    text = rng.choice(["", "", "-", "+"]) + digits[:place] + "." + digits[place:]
    if rng.random() < 0.3:
        text += f"e{rng.randint(-330, 310)}"
    return text if rng.random() < 0.7 else text.replace(".", "")


def column(rng: random.Random, rows: int) -> list[str]:
    """Return the values of a column, sometimes with an odd one."""
    choice = rng.random()
    if choice < 0.15:
        values = [repr(rng.gauss(0, 10 ** rng.randint(-9, 9))) for _ in range(rows)]
    elif choice < 0.3:
        values = [number(rng) for _ in range(rows)]
    else:
        values = rng.choices(rng.choice(KINDS), k=rows)
    if rng.random() < 0.1:
        values[rng.randrange(rows)] = rng.choice(VALUES)
    return values


def odd_text(rng: random.Random) -> bytes:
    """Return the content of a file with a target ``y`` as the last column."""
    rows = rng.choice([1, 2, 5, 30, 30, 300])
    width = rng.choice([1, 2, 3, 5, 8])
    separator = rng.choice(SEPARATORS)
    names = [f"{rng.choice(NAMES)}{i}" for i in range(width - 1)]
    if rng.random() < 0.05:
        names = [rng.choice(["", "a", "1"]) for _ in names]
    names.append("y")
    columns = [column(rng, rows) for _ in names]
    lines = [separator.join(row) for row in [names, *zip(*columns, strict=True)]]
    damage(lines, separator, rng)
    if rng.random() < 0.1:
        lines.insert(0, rng.choice(ABOVE).format(separator))
    end = rng.choice(["\n"] * 6 + ["\r\n", "\r\n", "\r"])
    text = end.join(lines)
    if rng.random() < 0.8:
        text += end
    if rng.random() < 0.03:
        text = text.replace(end, "\r\n", 1)
    return text.encode(rng.choice(ENCODINGS), "replace")


def damage(lines: list[str], separator: str, rng: random.Random) -> None:
    """Insert a line, shorten or lengthen a row, or insert spaces, with small probabilities."""
    place = rng.randrange(len(lines))
    odd_lines = ["", "  ", "\t", lines[0], "# c", separator, '""', "Total" + separator]
    if rng.random() < 0.06:
        lines.insert(place, rng.choice(odd_lines))
    if rng.random() < 0.04:
        lines[place] = lines[place].rpartition(separator)[0]
    if rng.random() < 0.04:
        lines[place] += separator + rng.choice(["more", ""])
    if rng.random() < 0.03:
        lines[place] = lines[place].replace(separator, separator + " ")
    if rng.random() < 0.03:
        lines[-1] += rng.choice(["\n", "\n\n", " ", "\r", "\x1a"])
