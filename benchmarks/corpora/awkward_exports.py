# ruff: noqa: E501
"""Files as programs export them: title lines, boxes, footers, and formats that are not tables of text.

`READ` contains files that are read: name, content, column names, first row, and a
pattern of the notes ("" for none). `REFUSED` contains files that cannot be read: name,
content, and a pattern of the error.
"""

import gzip
import io
import pickle
import sqlite3
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np

ROWS = "town,size,year\nRome,2.5,1990\nOslo,0.5,2001\nBonn,1.5,1987\n"
TABLE = (["town", "size", "year"], ["Rome", 2.5, 1990])
TABS, SEMICOLONS = ROWS.replace(",", "\t"), ROWS.replace(",", ";").replace(".", ",")
GERMAN = (["town", "size", "year"], ["Rome", "2,5", 1990])
WORDS = (["name", "town"], ["Ann", "Rome"])


def titled(name, above, rows=ROWS, table=TABLE, note="above the header"):
    """Return a file with lines above its header."""
    return name, (above + rows).encode(), *table, note


READ = {
    # Headers like the first bytes of other formats
    "a column named orc": (
        "t.tsv",
        b"orc\telf\n1\t2\n3\t4\n",
        ["orc", "elf"],
        [1, 2],
        "",
    ),
    "a single column named ORC": ("t.csv", b"ORC\n1\n2\n", ["ORC"], [1], ""),
    "a column named RDA2": ("t.csv", b"RDA2\n1\n2\n", ["RDA2"], [1], ""),
    "a column named $FL2": (
        "t.csv",
        b"$FL2,%PDF\n1,2\n3,4\n",
        ["$FL2", "%PDF"],
        [1, 2],
        "",
    ),
    "a percentage named %PDF": (
        "t.csv",
        b"%PDF,b\n1,2\n3,4\n",
        ["%PDF", "b"],
        [1, 2],
        "",
    ),
    # Lines above the header
    "one title": titled("t.csv", "Towns of Europe\n"),
    "title without a space": titled("t.csv", "Towns\n"),
    "title and a blank line": titled("t.csv", "Towns of Europe\n\n"),
    "quoted title": titled("t.csv", '"Towns, sizes and years"\n'),
    "title with a comma": titled("t.csv", "Towns, as of 2024\n\n"),
    "title and date": titled("t.csv", "Towns of Europe\n2024-05-01\n\n"),
    "blank line first": titled("t.csv", "\nTowns of Europe\n"),
    "blank lines only": titled("t.csv", "\n\n", note=""),
    "underlined title": titled("t.csv", "Towns of Europe\n===============\n"),
    "title of tabs": titled("t.tsv", "Towns of Europe\n", TABS),
    "title of semicolons": titled("t.csv", "Städte: Größe\n\n", SEMICOLONS, GERMAN),
    "title of bars": titled("t.csv", "Towns of Europe\n", ROWS.replace(",", "|")),
    "title in cp1252": (
        *(
            "t.csv",
            ("Städte in Europa\n" + SEMICOLONS).encode("cp1252"),
            *GERMAN,
            "above the header",
        ),
    ),
    "title in UTF-16": (
        "t.txt",
        ("Towns of Europe\r\n" + TABS).encode("utf-16"),
        *TABLE,
        "above the header",
    ),
    "title of a compressed file": (
        "t.csv.gz",
        gzip.compress(b"Towns of Europe\n" + ROWS.encode()),
        *TABLE,
        "above",
    ),
    "padded title": titled("t.csv", "Towns of Europe,,\n"),
    "padded title and padded blank line": titled("t.csv", "Towns of Europe,,\n,,\n"),
    "padded title of semicolons": titled("t.csv", "Städte;;\n;;\n", SEMICOLONS, GERMAN),
    "title above years": titled(
        "t.csv",
        "Income of countries\n",
        "town,2019,2020\nRome,1.5,2.5\nOslo,2.5,1.5\n",
        (["town", "2019", "2020"], ["Rome", 1.5, 2.5]),
    ),
    "padded title above words": titled(
        "t.csv",
        "Members,,\n",
        "name,town,land\nAnn,Rome,Italy\nBob,Oslo,Norway\n",
        (["name", "town", "land"], ["Ann", "Rome", "Italy"]),
    ),
    "keys and values": titled("t.csv", "Station,Berlin\nPeriod,1990-2020\n\n"),
    "padded keys and values": titled(
        *("t.csv", "Station,Berlin,,\nPeriod,1990-2020,,\n,,,\n"),
        rows="town,size,year,note\nRome,2.5,1990,x\nOslo,0.5,2001,y\n",
        table=(["town", "size", "year", "note"], ["Rome", 2.5, 1990, "x"]),
    ),
    "World Bank": titled(
        *(
            "t.csv",
            '\ufeff"Data Source","World Development Indicators",\n\n"Last Updated Date","2024-05-30",\n\n',
        ),
        rows='"Country Name","Country Code","1960","1961"\n"Aruba","ABW","54608","55811"\n"Chad","TCD","3","4"\n',
        table=(
            ["Country Name", "Country Code", "1960", "1961"],
            ["Aruba", "ABW", 54608, 55811],
        ),
    ),
    "report of advertisements": titled(
        *("t.csv", 'Campaign report\n"May 1, 2024 - May 31, 2024"\n'),
        rows="Campaign,Clicks,Cost\nA,10,2.5\nB,20,3.5\n",
        table=(["Campaign", "Clicks", "Cost"], ["A", 10, 2.5]),
    ),
    "title above words": titled(
        "t.csv", "List of members\n\n", "name,town\nAnn,Rome\nBob,Oslo\n", WORDS
    ),
    "many titles": titled(
        "t.csv", "".join(f"Remark {number}: all is well\n" for number in range(12))
    ),
    "comment and title": titled("t.csv", "# exported\nTowns of Europe\n"),
    "title above an unnamed column": titled(
        "t.csv",
        "Towns of Europe\n\n",
        ",size\nRome,2.5\nOslo,1.5\n",
        (["column 1", "size"], ["Rome", 2.5]),
    ),
    # Files whose first line is the header
    "plain": ("t.csv", ROWS.encode(), *TABLE, ""),
    "one column of text": (
        "t.csv",
        b"said\na word\nno more\n",
        ["said"],
        ["a word"],
        "",
    ),
    "header of years": (
        "t.csv",
        b"town,2019,2020\nRome,1.5,2.5\nOslo,2.5,1.5\n",
        ["town", "2019", "2020"],
        ["Rome", 1.5, 2.5],
        "",
    ),
    "unnamed first column": (
        "t.csv",
        b",size\n0,2.5\n1,0.5\n",
        ["column 1", "size"],
        [0, 2.5],
        "",
    ),
    "empty column": (
        "t.csv",
        b"town,size,\nRome,2.5,\nOslo,1.5,\n",
        ["town", "size", "column 3"],
        ["Rome", 2.5, None],
        "",
    ),
    "missing values in the first row": (
        "t.csv",
        b"a,b,c\n,,1\n,2,\n3,,4\n",
        ["a", "b", "c"],
        [None, None, 1],
        "",
    ),
    "short first row": (
        "t.csv",
        b"a,b,c\nx\ny,2,3\nz,4,5\n",
        ["a", "b", "c"],
        ["x", None, None],
        "fewer values",
    ),
    "text only": ("t.csv", b"name,town\nAnn,Rome\nBob,Oslo\n", *WORDS, ""),
    "names in brackets": ("t.csv", b"[a],[b]\n1,2\n3,4\n", ["[a]", "[b]"], [1, 2], ""),
    "names in angle brackets": (
        "t.csv",
        b"<DATE>,<OPEN>\n20240102,1.5\n20240103,2.5\n",
        ["<DATE>", "<OPEN>"],
        [20240102, 1.5],
        "",
    ),
    "dashes for missing values": (
        "t.tsv",
        b"a\tb\n---\t---\n1\tx\n",
        ["a", "b"],
        ["---", "---"],
        "",
    ),
    "no header": ("t.csv", b"1,x\n2,y\n3,x\n", ["1", "x"], [2, "y"], "looks like data"),
    # Lines below the rows
    "repeated header": (
        "t.csv",
        (ROWS + ROWS).encode(),
        TABLE[0],
        ["Rome", "2.5", "1990"],
        "repeated header",
    ),
    "total": (
        "t.csv",
        (ROWS + "Total,4.5,\n").encode(),
        *TABLE,
        "line 5: .*'Total'.* looks like",
    ),
    "total of a German table": (
        "t.csv",
        (SEMICOLONS + "Summe;4,5;\n").encode(),
        *GERMAN,
        "line 5: .*'Summe'",
    ),
    "count of rows": (
        "t.csv",
        (ROWS + "(3 rows)\n").encode(),
        *TABLE,
        r"line 5: .*'\(3 rows\)'",
    ),
    "source": (
        "t.csv",
        (ROWS + "\nSource: Eurostat\n").encode(),
        *TABLE,
        "line 6: .*'Source: Eurostat'",
    ),
    "two tables": (
        "t.csv",
        (ROWS + "\nname,count,price\nAnn,3,2\n").encode(),
        TABLE[0],
        ["Rome", "2.5", "1990"],
        "line 6: .*second table",
    ),
    "second table with fewer columns": (
        "t.csv",
        (ROWS + "\nname,count\nAnn,3\n").encode(),
        TABLE[0],
        ["Rome", "2.5", 1990],
        "line 6: .*second table",
    ),
    "blank lines between rows": (
        "t.csv",
        ROWS.replace("\nOslo", "\n\nOslo").encode(),
        *TABLE,
        "",
    ),
}


def archive(write, *names):
    """Return an archive of files with the table."""
    content = io.BytesIO()
    write(content, names)
    return content.getvalue()


def tarred(content, names, mode="w:gz"):
    with tarfile.open(fileobj=content, mode=mode) as file:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(ROWS)
            file.addfile(member, io.BytesIO(ROWS.encode()))


def zipped(content, names):
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, ROWS)


def database():
    """Return the content of a SQLite database."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(path := Path(folder, "t.db"))
        connection.execute("create table t (a int)")
        connection.commit()
        connection.close()
        return path.read_bytes()


def of_numpy():
    content = io.BytesIO()
    np.save(content, np.zeros((3, 2)))
    return content.getvalue()


# fmt: off
PSQL = " id | name | size\n----+------+------\n  1 | Ann  |  2.5\n  2 | Bob  |  3.5\n(2 rows)\n"
MYSQL = "+----+------+\n| id | name |\n+----+------+\n|  1 | Ann  |\n|  2 | Bob  |\n+----+------+\n2 rows in set (0.00 sec)\n"
SQLITE = "id  name\n--  ----\n1   Ann\n2   Bob\n"
BOX = "┌────┬──────┐\n│ id │ name │\n├────┼──────┤\n│ 1  │ Ann  │\n└────┴──────┘\n"
MARKDOWN = "| id | name |\n|----|:----:|\n| 1  | Ann  |\n| 2  | Bob  |\n"
FIXED = "name          age  town\nAnn Smith      36  New York\nBob Miller     41  Rome\n"
DRAWN = "drawn with lines.*CSV"

REFUSED = {
    "psql": ("t.txt", PSQL.encode(), DRAWN),
    "psql as CSV": ("t.csv", PSQL.encode(), DRAWN),
    "psql with one column": ("t.txt", b" id\n----\n  1\n  2\n(2 rows)\n", DRAWN),
    "psql, expanded": ("t.txt", b"-[ RECORD 1 ]\nid   | 1\nname | Ann\n-[ RECORD 2 ]\nid   | 2\nname | Bob\n", DRAWN),
    "mysql": ("t.txt", MYSQL.encode(), DRAWN),
    "sqlite columns": ("t.txt", SQLITE.encode(), DRAWN),
    "sqlite box": ("t.txt", BOX.encode(), DRAWN),
    "sqlcmd": (
        "t.txt",
        b"name       age\n---------- -----------\nAnn                 36\nBob                 41\n",
        DRAWN,
    ),
    "Markdown": ("t.md", MARKDOWN.encode(), DRAWN),
    "Markdown without outer bars": ("t.md", b"id | name\n---|---\n1 | Ann\n2 | Bob\n", DRAWN),
    "reStructuredText": ("t.rst", b"==  ====\nid  name\n==  ====\n1   Ann\n2   Bob\n==  ====\n", DRAWN),
    "fixed width": ("t.txt", FIXED.encode(), "fixed width.*read_fwf"),
    "tar": ("t.tar", archive(lambda content, names: tarred(content, names, "w"), "t.csv"), "tar archive.*extract"),
    "tar.gz": ("t.tar.gz", archive(tarred, "t.csv"), "tar archive.*extract"),
    "tgz": ("t.tgz", archive(tarred, "t.csv"), "tar archive.*extract"),
    "zip of two files": ("t.zip", archive(zipped, "a.csv", "b.csv"), "contains 2 files.*extract"),
    "empty zip": ("t.zip", archive(zipped), "contains no files"),
    "HTML as xls": ("t.xls", b"<html><body><table><tr><td>1</td></tr></table></body></html>", "HTML.*read_html"),
    "HTML with a blank line": ("t.xls", b"\n\n<table border='1'>\n<tr><td>1</td></tr>\n</table>", "HTML.*read_html"),
    "XML": ("t.xml", b"<data>\n<row><a>1</a></row>\n</data>\n", "XML.*read_xml"),
    "Excel 2003": ("t.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "xls.*xlsx"),
    "PDF": ("t.pdf", b"%PDF-1.4\n%\xe2\xe3\n1 0 obj\n<</Type/Catalog>>\n", "PDF"),
    "PDF as CSV": ("t.csv", b"%PDF-1.4\n%\xe2\xe3\n1 0 obj\n<</Type/Catalog>>\n", "PDF"),
    "lock file of Excel": ("~$t.xlsx", b"\x04Anna" + bytes(160), r"lock file.*t\.xlsx"),
    "SPSS": ("t.sav", b"$FL2@(#) SPSS DATA FILE" + bytes(200), "SPSS.*read_spss"),
    "Stata": ("t.dta", b"<stata_dta><header><release>118</release>" + bytes(200), "Stata.*read_stata"),
    "old Stata": ("t.dta", b"\x72\x02\x01\x00" + bytes(200), "Stata.*read_stata"),
    "SAS": ("t.sas7bdat", bytes(12) + b"\xc2\xea\x81\x60" + bytes(200), "SAS.*read_sas"),
    "R": ("t.rds", gzip.compress(b"X\n\0\0\0\x03" + bytes(200)), "R .*write.csv"),
    "R workspace": ("t.RData", gzip.compress(b"RDX3\nX\n\0\0\0\x03" + bytes(200)), "R .*write.csv"),
    "SQLite": ("t.db", database(), "SQLite.*read_sql"),
    "HDF5": ("t.h5", b"\x89HDF\r\n\x1a\n" + bytes(200), "HDF5.*read_hdf"),
    "NumPy": ("t.npy", of_numpy(), "NumPy.*numpy.load"),
    "pickle": ("t.pkl", pickle.dumps({"a": [1]}), "pickle.*read_pickle"),
    "ORC": ("t.orc", b"ORC" + bytes(range(200)), "ORC.*read_orc"),
    "workbook named CSV": ("t.csv", archive(zipped, "xl/workbook.xml", "[Content_Types].xml"), r"zip.*\.xlsx"),
    "JSON": ("t.json", b'[{"a": 1}, {"a": 2}]', "JSON.*read_json"),
    "JSON lines": ("t.jsonl", b'{"a": 1}\n{"a": 2}\n', "JSON.*read_json"),
    "nested JSON": ("t.json", b'{\n  "data": [\n    {"a": {"b": 1}}\n  ]\n}\n', "JSON.*json_normalize"),
    "indented JSON": ("t.json", b'[\n  {\n    "a": 1\n  }\n]\n', "JSON.*read_json"),
    "JSON of lists": ("t.json", b"[[1, 2], [3, 4]]\n", "JSON.*read_json"),
    "row names without a name": ("t.csv", b"size,year\nRome,2.5,1990\nOslo,0.5,2001\n", "3 values.*names 2 columns"),
    "separators at the ends of rows": ("t.csv", b"a,b\n1,2,\n3,4,\n", "3 values.*names 2 columns"),
    "title directly above words": ("t.csv", b"List of members\nname,town\nAnn,Rome\n", "2 values.*names 1 columns"),
    "full names": ("t.csv", b"full name\nSmith, John\nDoe, Jane\nRoe, Ann\n", "2 values.*names 1 columns"),
    "sentence with commas": ("t.csv", b"said\nwell, yes\nwell, no\n", "2 values.*names 1 columns"),
    "longer second table": ("t.csv", b"a,b\n1,2\n3,4\n\nc,d,e\n5,6,7\n", "line 5: .*3 values"),
}
