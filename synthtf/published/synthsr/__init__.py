"""SynthSR: a T1 scan of 1 mm from scans of any contrast and resolution.

References:
    Iglesias et al., Joint super-resolution and synthesis of 1 mm isotropic MP-RAGE volumes from
    clinical MRI exams with scans of different orientation, resolution and contrast, NeuroImage
    2021.
    Iglesias et al., SynthSR: a public AI tool to turn heterogeneous clinical brain scans into
    high-resolution T1-weighted images for 3D morphometry, Science Advances 2023.
    Iglesias et al., Quantitative brain morphometry of portable low-field-strength MRI using
    super-resolution machine learning, Radiology 2023, for the pair of T1 and T2.
"""
