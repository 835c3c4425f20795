"""Other machines: populations on the workers of a Dask cluster, and rows that lie there. Dask is imported when used."""
