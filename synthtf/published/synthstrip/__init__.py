"""SynthStrip: skull-stripping for any brain image.

Reference:
    Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022.
"""
