"""Segmentation by way of tissues."""
