"""The task of returning images."""
