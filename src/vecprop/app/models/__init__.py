"""The use of a model by commands: predictions, metrics, gradient checks and a description."""
