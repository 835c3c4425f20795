"""The code of students in processes of their own."""
