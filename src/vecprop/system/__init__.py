"""The machine: its threads and processors."""
