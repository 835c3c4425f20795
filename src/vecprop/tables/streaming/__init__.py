"""Tables that are larger than memory: read block by block, and trained on in windows."""
