"""Write standard output and error, and the files and pages of commands."""
