"""Training: the loop, its schedule, its losses over time and its checkpoints."""
