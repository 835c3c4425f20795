"""Standard output and error, and the files that commands write."""
