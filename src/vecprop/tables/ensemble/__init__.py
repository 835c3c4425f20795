"""Ensembles of networks: their training, stages, calibration, intervals and thresholds."""
