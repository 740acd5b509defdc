"""Stages: read folders, call an engine, write a folder."""
