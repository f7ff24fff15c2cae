"""Where things are: transforms, and the one interpolation that applies them."""
