"""Ensembles of networks: training, calibration, intervals and thresholds."""
