"""What only shows when all cases of a set are looked at together."""
