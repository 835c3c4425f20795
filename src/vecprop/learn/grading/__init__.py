"""Grading of a student's functions: right, or what is wrong, in three hints."""
