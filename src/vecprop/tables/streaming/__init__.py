"""Tables larger than memory, which are read in blocks and used for training in windows of rows."""
