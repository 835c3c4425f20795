"""Excel workbooks, of which the first sheet is a table with a row of names."""

from pathlib import Path
from typing import Any

from ..error import TableError, first_line, pandas
from .sniffing import require_distinct

EXCEL = {".xlsx", ".xlsm"}


def read_excel(path: Path) -> Any:
    """Return the first sheet of a workbook as a data frame; ``attrs["notes"]`` says if there are others.

    The index of rows is their number in the sheet, as lines are of a text file.

    Raises
    ------
    TableError
        If the file is no workbook, or two columns have one name.
    """
    try:
        import openpyxl  # noqa: F401 (pandas reads with it)
    except ImportError:
        raise ImportError('Excel files are read with openpyxl: pip install "vecprop[tables]".') from None
    pd = pandas()
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            sheets = book.sheet_names
            whole = pd.read_excel(book, header=None, dtype=object, keep_default_na=False, na_values=[""])
    except Exception as error:  # of zipfile, XML or openpyxl: a damaged workbook may be wrong in any way
        raise TableError(f"{path} cannot be read as an Excel file: {first_line(error)}.") from error
    if not len(whole):
        raise TableError(f"{path} has no values in its first sheet.")
    names = [f"column {number}" if pd.isna(name) else str(name).strip() for number, name in enumerate(whole.iloc[0], 1)]
    require_distinct(names, str(path))
    frame = whole.iloc[1:].dropna(how="all").set_axis(names, axis=1).infer_objects()
    frame.index = (frame.index + 1).rename("line")
    more = f"{path.name}: of {len(sheets)} sheets only the first, {sheets[0]!r}, is read."
    frame.attrs["notes"] = [more] if len(sheets) > 1 else []
    return frame
