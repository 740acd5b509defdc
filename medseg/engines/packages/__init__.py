"""Model packages: written, read, and opened for inference."""
