"""Training on a Dask cluster and on Dask data. Dask is imported on first use."""
