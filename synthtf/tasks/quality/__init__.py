"""The task of judging segmentations."""
