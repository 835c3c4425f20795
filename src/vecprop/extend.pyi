from .core.counter_rng import RandomKey as RandomKey
from .core.layers import Activation as Activation
from .core.layers import Initializer as Initializer
from .core.layers import Layer as Layer
from .core.layers import Layout as Layout
from .core.layers import Penalized as Penalized
from .core.losses import ElementwiseLoss as ElementwiseLoss
from .core.losses import Loss as Loss
from .core.penalties import Penalty as Penalty
from .optimize.optimizers import Optimizer as Optimizer
from .optimize.schedules import Schedule as Schedule
from .train.progress import Progress as Progress

__all__: list[str]
