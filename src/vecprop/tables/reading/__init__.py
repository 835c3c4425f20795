"""Files as tables: text, Excel, Parquet and Arrow, folders of them, and frames of other libraries."""
