"""Tables larger than memory: they are read block by block and trained on in windows of rows."""
