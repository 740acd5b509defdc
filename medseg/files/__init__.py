"""What lies on disk: scans, data-set layouts, arrays, tables and weights."""
