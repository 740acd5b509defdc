"""Patches out of prepared cases, each in one interpolation."""
