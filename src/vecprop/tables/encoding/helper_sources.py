"""The source text of helper functions for exported NumPy files."""

from ..kinds import formats

WORDS = 'WORDS = {"true": 1.0, "false": 0.0, "none": np.nan}\n'
TIMES = f"""CLOCK = {formats.CLOCK!r}
SPELLED = {formats.SPELLED!r}
SECONDS_OF_UNITS = {formats.SECONDS_OF_UNITS!r}
"""
FORMS = f"""FORMS = {{
{"".join(f"    {form!r}: {pattern!r},{chr(10)}" for form, pattern in formats.FORMS.items())}}}
ONE_MEANING = {list(formats.ONE_MEANING)!r}
TIME = {formats.TIME!r}
MONTHS = {formats.MONTHS!r}
"""
NUMBERS = '''\
def number(value, signs, read):
    """Convert a number, a Boolean or text to a number; empty text is missing."""
    if is_missing(value) or value == "":
        return np.nan
    x = read(value, *signs) if isinstance(value, str) else float(value)
    if x is None:
        raise ValueError(f"{value!r} is not a number in the training format {signs}.")
    return x


def numbers(column, centre, scale, edges, marks_missing, standard, scores, signs=(".", "", ""), read=None):
    """Return the inputs of a numeric column; ``signs`` are the separators of decimals and thousands, and the unit."""
    x = np.asarray(column)
    if x.dtype.kind in "mM":
        raise TypeError("This column contains times, not numbers.")
    if x.dtype.kind not in "biuf":
        x = [number(value, signs, read or number_of) for value in x.astype(object)]
    return number_inputs(np.asarray(x, float), centre, scale, np.array(edges), marks_missing, standard, scores)
'''
DATES = '''\
def day(value, forms, format):
    """Convert a date, a time or text in the training format to days since 1970; empty text is missing."""
    if is_missing(value) or value == "":
        return np.nan
    if hasattr(value, "isoformat") or isinstance(value, np.datetime64):
        return np.datetime64(value, "ms").astype(float) / 86_400_000
    days = days_of(str(value), forms, format)
    if days is None:
        raise ValueError(f"{value!r} is not a date in the format {format or ' or '.join([*forms, *ONE_MEANING])}.")
    return days


def dates(column, centre, scale, edges, marks_missing, standard, scores, day_waves, forms=(), format=None):
    """Return the inputs of a date column."""
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
    """Return one-hot inputs of names and of shared buckets for other names, then mean targets, if there are any.

    Empty text is a name. ``others`` are the mean targets of names without ``means``.
    """
    known = {name: place for place, name in enumerate(names)}
    values = np.asarray(column, object)
    column = [MISSING if is_missing(value) else category_name(value) for value in values]
    places = [known.get(name, len(names) + zlib.crc32(name.encode()) % buckets) for name in column]
    encoded = np.reshape([(means or {}).get(name, others) for name in column], (len(column), len(others)))
    return np.hstack([np.equal.outer(places, np.arange(len(names) + buckets)), encoded])
'''
TAGS = '''\
def tags(column, names, separator):
    """Return an indicator for each name and one for all other names; missing values have no names."""
    known, values = {name: place for place, name in enumerate(names)}, np.asarray(column, object)
    inputs = np.zeros((len(values), len(names) + 1))
    for row, value in enumerate(values):
        each = [] if is_missing(value) else tags_of(str(value), separator)
        inputs[row, [known.get(name, len(names)) for name in each]] = 1
    return inputs
'''
