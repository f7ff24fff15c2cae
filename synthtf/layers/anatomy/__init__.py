"""Label maps: synthesised, changed, and turned into targets."""
