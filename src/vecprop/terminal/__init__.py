"""Standard output and error, and the files and pages that commands write."""
