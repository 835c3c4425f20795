"""Ensembles of networks: training, stages, calibration, intervals and thresholds."""
