"""One step: gradients of a batch, then a move of the weights."""
