"""SynthMorph: registration of brain images of any contrast.

Reference:
    Hoffmann et al., Anatomy-aware and acquisition-agnostic joint registration with SynthMorph,
    Imaging Neuroscience 2024.
"""
