"""What per-case values say about the next case: intervals, tests, agreement, and what seeds alone do.

intervals: `mean_interval`, the 95 % interval of a mean, whole subjects resampled.  summaries: `summarise_values`.
kinds: `kind_of`, what values a measure can take and which are better.  paired: `compare_paired`, two runs on the same
cases.  holm: `holm`, p-values of many comparisons.  agreement: `bland_altman` and `concordance` of predicted and true
volumes.  seeds: `spread_of_runs` and `seeds_move`, what nothing but the seed changes.
"""
