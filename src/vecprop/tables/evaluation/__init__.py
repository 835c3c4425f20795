"""The evaluation of models of tables: metrics with intervals, and baselines to beat."""
