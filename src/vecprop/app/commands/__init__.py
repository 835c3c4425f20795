"""The commands of a table and a model, a file each; what they do stands in the files above."""
