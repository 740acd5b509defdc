"""Sliding windows over whole volumes."""
