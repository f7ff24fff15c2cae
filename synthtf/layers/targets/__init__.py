"""What a network shall return: parts of a sample that are kept as targets."""
