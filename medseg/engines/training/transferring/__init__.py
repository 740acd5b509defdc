"""Starting from a model package: what fits, what is adapted, what stays as it is."""
