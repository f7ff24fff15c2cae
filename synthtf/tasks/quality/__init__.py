"""The task of judging segmentations and images."""
