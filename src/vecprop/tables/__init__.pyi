from .classifier import TabularClassifier as TabularClassifier
from .error import TableError as TableError
from .evaluation import Evaluation as Evaluation
from .evaluation import EvaluationOfTargets as EvaluationOfTargets
from .evaluation import evaluate as evaluate
from .kinds.kinds import guess_task as guess_task
from .reading.reading import read_chunks as read_chunks
from .reading.reading import read_table as read_table
from .regressor import TabularRegressor as TabularRegressor
from .table_encoder import TableEncoder as TableEncoder

__all__: list[str]
