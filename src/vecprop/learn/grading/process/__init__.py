"""The process that runs the file of a student."""
