"""What kind of values a column holds, and how its text is read."""
