"""Read tables from text, Excel, Parquet and Arrow files, folders, and data frames of other libraries."""
