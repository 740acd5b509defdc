"""Model packages: written, read, and started from."""
