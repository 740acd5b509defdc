"""Changes of the intensities of cut patches, many channels at once."""
