"""The two roots of an experiment (Settings, Machine) and the order of its stages."""
