"""The commands, one file each: their options, and calls of the rooms beside this one, which do the work."""
