"""Label maps: made from nothing, changed, and turned into targets."""
