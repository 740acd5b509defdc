"""Compare runs on the same scans: `medseg compare`."""
