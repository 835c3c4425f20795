"""Functions and networks at a point: values, gradients, derivatives and bounds on rounding errors."""
