"""Training on a Dask cluster, and training on Dask data. Dask is imported on first use."""
