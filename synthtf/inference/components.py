"""Connected components of a segmentation."""

import numpy as np


def keep_largest_component(posteriors: np.ndarray, threshold: float = 0.25) -> None:
    """Keep the largest connected component of the union of all foreground classes.

    Elsewhere the posteriors become background, in place. Voxels are connected
    through their faces.

    Args:
        posteriors: `(x, y, z, classes)`, float, summing to one; the first class is
            the background. Changed in place.
        threshold: Sum of the foreground posteriors above which a voxel belongs to
            the union.

    Reference:
        The threshold of SynthSeg's post-processing (Billot et al., 2023).
    """
    from scipy import ndimage

    components, count = ndimage.label(1 - posteriors[..., 0] > threshold)
    if count == 0:
        return
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    removed = components != sizes.argmax()
    posteriors[removed] = 0
    posteriors[removed, 0] = 1
