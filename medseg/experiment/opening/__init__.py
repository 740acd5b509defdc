"""Data sets and finished runs, opened for Python programs and notebooks."""
