"""From a folder of scans to a held-out tumour-vs-healthy report, every step reproducible."""

__version__ = "0.1.0"
