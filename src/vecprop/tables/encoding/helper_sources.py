"""The helpers of columns in exported NumPy source, each as text."""

from ..kinds import written

WORDS = 'WORDS = {"true": 1.0, "false": 0.0, "none": np.nan}\n'
TIMES = f"CLOCK = {written.CLOCK!r}\nSPELLED = {written.SPELLED!r}\n"
FORMS = f"""FORMS = {{
{"".join(f"    {form!r}: {pattern!r},{chr(10)}" for form, pattern in written.FORMS.items())}}}
ONE_MEANING = {list(written.ONE_MEANING)!r}
TIME = {written.TIME!r}
MONTHS = {written.MONTHS!r}
"""
NUMBERS = '''\
def number(value, signs, read):
    """Return a number, of a number, a truth value, or text of them; empty text is missing."""
    if is_missing(value) or value == "":
        return np.nan
    x = read(value, *signs) if isinstance(value, str) else float(value)
    if x is None:
        raise ValueError(f"{value!r} is no number as training read them, with the signs {signs}.")
    return x


def numbers(column, centre, scale, edges, marks_missing, standard, scores, signs=(".", "", ""), read=None):
    """Return the inputs of a column of numbers; text is read with a decimal sign, one between thousands, and a unit."""
    x = np.asarray(column)
    if x.dtype.kind in "mM":
        raise TypeError("This column holds times, not numbers.")
    if x.dtype.kind not in "biuf":
        x = [number(value, signs, read or number_of) for value in x.astype(object)]
    return number_inputs(np.asarray(x, float), centre, scale, np.array(edges), marks_missing, standard, scores)
'''
DATES = '''\
def day(value, forms, format):
    """Return the days since 1970 of a date, a time, or text as in training; empty text is missing."""
    if is_missing(value) or value == "":
        return np.nan
    if hasattr(value, "isoformat") or isinstance(value, np.datetime64):
        return np.datetime64(value, "ms").astype(float) / 86_400_000
    days = days_of(str(value), forms, format)
    if days is None:
        raise ValueError(f"{value!r} is no date that is written as {format or ' or '.join([*forms, *ONE_MEANING])} is.")
    return days


def dates(column, centre, scale, edges, marks_missing, standard, scores, day_waves, forms=(), format=None):
    """Return the inputs of a column of dates."""
    times = np.asarray(column)
    if times.dtype.kind == "M":
        days = np.where(np.isnat(times), np.nan, times.astype("datetime64[ms]").astype(float) / 86_400_000)
    else:
        days = np.array([day(value, forms, format) for value in times.astype(object)], float)
    numbers = number_inputs(days, centre, scale, np.array(edges), marks_missing, standard, scores)
    return np.hstack([numbers, calendar_inputs(days, day_waves)])
'''
CATEGORIES = '''\
MISSING = "\\0missing"


def categories(column, names, buckets, others=(), means=None):
    """Return an input of 0 or 1 for each name, and inputs that other names share by checksum; empty text is a name.

    Then come mean targets by name, if there are any, and those of all others.
    """
    known = {name: place for place, name in enumerate(names)}
    values = np.asarray(column, object)
    column = [MISSING if is_missing(value) else category_name(value) for value in values]
    places = [known.get(name, len(names) + zlib.crc32(name.encode()) % buckets) for name in column]
    told = np.reshape([(means or {}).get(name, others) for name in column], (len(column), len(others)))
    return np.hstack([np.equal.outer(places, np.arange(len(names) + buckets)), told])
'''
TAGS = '''\
def tags(column, names, separator):
    """Return an input of 0 or 1 for each name, and one for all other names; missing values have none."""
    known, values = {name: place for place, name in enumerate(names)}, np.asarray(column, object)
    inputs = np.zeros((len(values), len(names) + 1))
    for row, value in enumerate(values):
        each = [] if is_missing(value) else tags_of(str(value), separator)
        inputs[row, [known.get(name, len(names)) for name in each]] = 1
    return inputs
'''
