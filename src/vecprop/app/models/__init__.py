"""What commands ask of a model: predictions, metrics, gradient checks and a description."""
