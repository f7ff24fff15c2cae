"""The task of correcting label maps."""
