"""Functions and networks at a point: their values, gradients and derivatives, and the bounds on their rounding."""
