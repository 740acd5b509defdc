"""Frozen values that every floor above may use."""
