"""Learn backpropagation with tutorial functions, traces, grading and worksheets."""

from . import tutorial as tutorial
from .grading.grade import grade as grade
from .grading.grade import grade_all as grade_all
from .grading.grade import grade_file as grade_file
from .grading.grade import nbgrader_cell as nbgrader_cell
from .grading.grade import otter_test as otter_test
from .grading.grades import Grade as Grade
from .grading.grades import Grades as Grades
from .pictures import plot_momentum as plot_momentum
from .pictures import plot_random_starts as plot_random_starts
from .sheet import Worksheet as Worksheet
from .sheet import worksheet as worksheet
from .tracing.trace import Trace as Trace
from .tracing.trace import trace as trace
