"""Spatial transforms, and the one interpolation that applies them."""
