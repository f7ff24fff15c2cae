"""WMH-SynthSeg: anatomy and white matter hyperintensities in scans of any contrast and resolution.

Reference:
    Laso et al., Quantifying white matter hyperintensity and brain volumes in heterogeneous
    clinical and low-field portable MRI, ISBI 2024.
"""
