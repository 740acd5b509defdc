"""Shapes of data sets: which files make which case, and what is said of the masks."""
