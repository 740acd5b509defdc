"""Model packages: written and read."""
