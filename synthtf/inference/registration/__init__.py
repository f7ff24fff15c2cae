"""Registration of two scans with trained networks.

`register` runs the networks and makes transforms in mm of what they find, `feature_alignment`
refines an affine transform, `picture` shows the result.
"""
