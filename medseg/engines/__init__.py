"""Loops that own state: sampling, training, inference."""
