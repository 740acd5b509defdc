"""What calibrating a model package is made of."""
