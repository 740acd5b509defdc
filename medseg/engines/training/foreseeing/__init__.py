"""What a training will need, before its first step."""
