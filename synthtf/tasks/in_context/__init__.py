"""The task of segmenting by example."""
