"""Many new scans through a trained model: found, done one after the other in three stages at once, kept and listed."""
