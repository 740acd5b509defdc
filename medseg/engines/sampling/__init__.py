"""Batches as data: draw a small table first, then cut it from the prepared volumes."""
