"""Looking at one case: every file read, checked, and summed up."""
