"""What per-case values say about the next case: intervals, tests, agreement, and what seeds alone do."""
