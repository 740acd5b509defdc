"""What is drawn of a batch: plain numbers from named streams."""
