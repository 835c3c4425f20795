"""Every number of one forward and backward pass, by its name in the equations."""
