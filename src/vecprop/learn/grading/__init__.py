"""Grade students' functions and explain their mistakes in three hints."""
