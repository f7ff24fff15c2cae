"""Contrast-agnostic skull-stripping."""
