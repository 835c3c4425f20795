from .scale.workers import DaskWorkers as DaskWorkers

__all__: list[str]
