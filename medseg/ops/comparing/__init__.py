"""Two sides on the same scans: which measures are compared, what differs, and on which scans."""
