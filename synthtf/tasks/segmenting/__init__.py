"""Contrast-agnostic segmentation."""
