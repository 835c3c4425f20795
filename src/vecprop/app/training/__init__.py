"""Run ``vecprop train``: split the rows, fit, evaluate and report."""
