"""Tables larger than memory, which are read in blocks and trained on in windows."""
