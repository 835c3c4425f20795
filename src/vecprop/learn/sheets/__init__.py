"""Worksheets: a small network with round numbers, blanks for all values of a pass, and grades of what comes back."""
