"""The work of ``vecprop train``: split the rows, fit, evaluate and report."""
