"""The encoder of tables as a transformer of scikit-learn."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy import ndarray
from sklearn.base import OneToOneFeatureMixin, TransformerMixin

from ..core import suggests_keywords
from ..estimators.sklearn_compat import fit_context
from .error import TableError
from .reading.frames import as_frame
from .rows import row_numbers
from .settings import COLUMN_CONSTRAINTS, ColumnSettings


@dataclass(eq=False, repr=False)
class TableEncoder(TransformerMixin, ColumnSettings):
    """Encode raw tables as arrays of numbers for any model.

    `TabularClassifier` and `TabularRegressor` use the same inputs. Numbers become
    standardized numbers, ranks and a piecewise linear encoding. Categories become
    indicators, dates become numbers with calendar features, and text becomes the
    leading directions of its TF-IDF weights. Missing values, unseen categories and
    unreadable values are encoded, too, so the array has no missing values.

    The encoder does not use the target, so no target leaks into the inputs. Categories
    after the 512 most frequent ones share 32 inputs. If the target is important for
    such a column, encode it with scikit-learn's `TargetEncoder` in a
    `ColumnTransformer`.

    Parameters
    ----------
    columns : dict of str to str or None, default None
        The kinds of columns: "number", "category", "code", "date", "text", "tags" or
        "ignore", as for `TabularClassifier`. The kinds of all other columns are
        inferred from their values.
    decimal : "." or "," or None, default None
        The decimal separator of numbers in text. None infers the sign for each column.
    date_format : str or None, default None
        The format of dates in text, as in ``datetime.strptime``, or "day first", "month
        first", or "excel". None infers the format of each column.
    piecewise : bool, default True
        Whether to include the piecewise linear encoding of numbers and dates. With
        these inputs, a linear model fits curves. False returns fewer inputs: the
        standardized number, its rank, and whether it is missing.

    Attributes
    ----------
    encoder_ : Encoder
        Converts columns to inputs: ``encoder_.kinds`` by name, and ``encoder_.dropped``
        with the reasons why columns are not used.
    notes_ : list of str
        Notes on columns that are not used, and on values that cannot be read.
    n_features_in_, feature_names_in_ : int and ndarray
        The number of columns, and their names if all are strings.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> table = pd.DataFrame({"age": [20, None, 40, 70] * 5, "town": ["Oslo", "Rome"] * 10})
    >>> model = make_pipeline(TableEncoder(), LogisticRegression()).fit(table, [0, 0, 1, 1] * 5)
    >>> model.predict(pd.DataFrame({"age": ["70"], "town": ["Bern"]})).tolist()
    [1]
    >>> TableEncoder(piecewise=False).fit(table).get_feature_names_out().tolist()
    ['age_missing', 'age_standardized', 'age_rank', 'town_Oslo', 'town_Rome', 'town_other']
    """

    _: KW_ONLY
    piecewise: bool = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **COLUMN_CONSTRAINTS,
        "piecewise": ["boolean"],
    }

    @suggests_keywords
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn to encode the columns of a table.

        Parameters
        ----------
        X : DataFrame (pandas, polars or Dask), Table or Dataset (pyarrow), Arrow
        stream, array (N, I), path or list of paths
            The table without the target, or a file that `read_table` can read. Set the
            kind of a target column in a file to "ignore". The index of a data frame is
            not used.
        y : object, optional
            Ignored.

        Returns
        -------
        self
            The fitted encoder.

        Raises
        ------
        TableError
            If the table cannot be read or has no usable columns.
        """
        frame = as_frame(X, self)
        frame = frame.drop(columns=frame.attrs.get("index", []))
        self._check_columns(X, frame, reset=True)
        if len(frame) < 2:
            raise TableError("There is only one sample: at least two rows are needed.")
        self.notes_ = list(frame.attrs.get("notes", []))
        self._learn_columns(frame, row_numbers(frame, but=self.columns or ()))
        return self

    @suggests_keywords
    def transform(self, X: Any) -> ndarray:
        """Encode a table.

        Parameters
        ----------
        X : DataFrame, Table, Dataset, array, path or paths
            A table with the training columns, in any order. Other columns are ignored.

        Returns
        -------
        ndarray (N, inputs), float32

        Raises
        ------
        TableError
            If a column is missing.
        """
        frame = self._table(X)
        return self.encoder_(frame)[:, self._inputs]

    @suggests_keywords
    def get_feature_names_out(self: Any, input_features: Any = None) -> ndarray:
        """Return a name for each input, such as "age_rank".

        Inputs of the same kind are numbered, as in "age_piece" and "age_piece_2".

        Parameters
        ----------
        input_features : sequence of str, optional
            The names of the columns, if the training table was an array.
        """
        columns: Any = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        columns = dict(zip(self._training_names, columns, strict=True))
        counts = {}
        for column, part in self.encoder_.columns:
            for suffix in part.input_names:
                first_name = f"{columns[column]}_{suffix}"
                name = first_name
                while name in counts:
                    counts[first_name] += 1
                    name = f"{first_name}_{counts[first_name]}"
                counts[name] = 1
        return np.array(list(counts), object)[self._inputs]

    @property
    def _inputs(self) -> ndarray:
        """The indices of the inputs of the encoder."""
        return self.encoder_.of_view("pieces" if self.piecewise else "standardised")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
