"""An interactive page that trains small networks on two-dimensional data."""
