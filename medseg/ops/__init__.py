"""Pure functions of arrays and tensors: geometry, intensity, losses, measures, phantoms."""
