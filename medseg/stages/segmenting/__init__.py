"""One new scan on its way through a trained model: read, guarded, prepared, segmented, put back on its own grid."""
