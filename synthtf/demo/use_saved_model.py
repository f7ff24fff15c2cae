"""Apply an exported network to an image with TensorFlow and nibabel alone, without synthtf.

    python use_saved_model.py SAVED_MODEL IMAGE.nii.gz POSTERIORS.nii.gz

The image must be what the network was trained for: in RAS orientation, with the voxel size of
the training, intensities in [0, 1], and along each axis a multiple of 2 to the power of the
number of poolings. `synthtf segment` does all this for a scan as it comes from the scanner.
"""

import sys


def main(folder: str, source: str, target: str) -> None:
    """Write the posteriors, one frame per channel."""
    import nibabel
    import numpy as np
    import tensorflow as tf

    scan = nibabel.load(source)
    image = np.asarray(scan.dataobj, np.float32)
    network = tf.saved_model.load(folder)
    posteriors = network.serve(tf.constant(image[None, ..., None])).numpy()[0]
    nibabel.save(nibabel.Nifti1Image(posteriors, scan.affine), target)
    print("synthtf was imported" if "synthtf" in sys.modules else "synthtf was not imported")


if __name__ == "__main__":
    main(*sys.argv[1:])
