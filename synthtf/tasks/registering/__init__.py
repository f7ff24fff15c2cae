"""Contrast-agnostic registration."""
