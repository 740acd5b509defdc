"""The command line: the only room that knows Hydra, argv, the terminal and the environment."""
