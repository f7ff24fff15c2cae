"""Volumes that users throw at commands, and the commands that read them."""

import gzip

import nibabel as nib
import numpy as np

from synthtf.cli.main import main

SIDE, MM = 24, 2.0
GOOD = "good.nii.gz"


def affine():
    matrix = np.diag([MM, MM, MM, 1.0])
    matrix[:3, 3] = -MM * (SIDE - 1) / 2
    return matrix


def labels():
    """A ball in a ball: a label map, and an image that each of the networks makes sense of."""
    distance = np.linalg.norm(np.indices((SIDE,) * 3).T * MM + affine()[:3, 3], axis=-1)
    return np.select([distance < 9, distance < 16], [2, 1], 0).astype("int16")


def volume(data=None, matrix=None, **fields):
    """The bytes of a .nii whose header fields are not corrected."""
    image = nib.Nifti1Image(
        labels() if data is None else data, affine() if matrix is None else matrix
    )
    data = image.to_bytes()
    header = nib.Nifti1Header(data[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + data[348:]


def flipped(data):
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 8
    return bytes(damaged)


# File name: content, and what each command says of it.
REFUSED = {
    "truncated.nii.gz": (lambda: gzip.compress(volume(), mtime=0)[:-300], "truncated"),
    "short.nii": (lambda: volume()[:-1], "truncated"),
    "flipped.nii.gz": (lambda: flipped(gzip.compress(volume(), mtime=0)), "corrupt"),
    "huge.nii": (
        lambda: volume(dim=[3, *[32000] * 3, 1, 1, 1, 1]),
        "claims 32000 x 32000 x 32000 voxels",
    ),
    "web.nii.gz": (lambda: b"<html>404</html>" * 40, "an HTML page"),
    "empty.mgz": (lambda: b"", "is empty"),
    "link.nii.gz": (lambda: "../.git/annex/objects/a.nii.gz", "is a link to nothing"),
    "loop.nii": (lambda: "loop.nii", "is a link to nothing"),
    "folder.nii": (lambda: None, "is a folder"),
    "annex.nii": (lambda: b"../.git/annex/objects/jv/MD5E-s7--8f.nii", "git annex get"),
    "dicom.nii": (lambda: bytes(128) + b"DICM" + bytes(range(256)), "dcm2niix"),
    "overlay.nii": (lambda: volume(np.ones((642, 1, 1), "int16")), "surface overlay"),
    "warp.nii": (
        lambda: volume(np.ones((4, 4, 4, 1, 3), "f4"), intent_code=1007),
        "a field of vectors",
    ),
    "colour.nii": (
        lambda: volume(np.zeros((4, 4, 4), [(c, "u1") for c in "RGB"])),
        "voxels must be real numbers. Received: colour",
    ),
    "complex.nii": (
        lambda: volume(np.ones((4, 4, 4), "complex64")),
        "voxels must be real numbers. Received: complex",
    ),
    "singular.nii": (
        lambda: volume(srow_x=[0, 0, 0, 1], sform_code=1, qform_code=0),
        "affine is singular",
    ),
    "nowhere.nii": (
        lambda: volume(srow_x=[1, 0, 0, np.nan], sform_code=1, qform_code=0),
        "affine is singular",
    ),
    "far.nii": (
        lambda: volume(srow_x=[MM, 0, 0, 1e30], sform_code=1, qform_code=0),
        "km away",
    ),
    "frames.nii": (lambda: volume(np.stack([labels()] * 3, -1)), "4 axes (3 frames"),
}
NO_LABELS = {
    "real.nii": (lambda: volume(labels() + np.float32(0.25)), "must be whole numbers; is this"),
    "nan.nii": (
        lambda: volume(np.full((4, 4, 4), np.nan, "f4")),
        "is this an image? Received: nan",
    ),
    "negative.nii": (lambda: volume(-labels()), "[0, 2^31); relabel it. Received: -"),
    "large.nii": (lambda: volume(labels() * 2.0**33), "must lie in [0, 2^31); relabel"),
}
WARNED = {
    "forms.nii.gz": (
        lambda: gzip.compress(volume(qform_code=1, sform_code=1, qoffset_x=7)),
        "its qform and sform differ",
    ),
    "unset.nii": (
        lambda: volume(qform_code=0, sform_code=0, pixdim=[1, MM, MM, MM, 1, 1, 1, 1]),
        "its header sets no orientation",
    ),
    "axis.nii": (
        lambda: volume(labels()[..., None]),
        "the fourth axis, of length one, was dropped",
    ),
    "longer.nii": (lambda: volume() + b"more", "4 bytes follow the voxels"),
    "plain.nii.gz": (lambda: volume(), "is not compressed, as its name does not say"),
    "qfac.nii": (
        lambda: volume(qform_code=1, sform_code=0, pixdim=[0, MM, MM, MM, 1, 1, 1, 1]),
        "qfac",
    ),
    "int64.nii": (lambda: volume(bitpix=32), "claims 32 bits per voxel, but int16 has 16"),
}


def segment(runs, scans, out):
    return ["segment", scans, "-o", out, "--model", runs / "segmentation"]


def strip(runs, scans, out):
    return ["strip", scans, "-m", out, "--model", runs / "stripping"]


def register(runs, scans, out):
    model = ("--model", runs / "registration")
    return ["register", scans, runs / "fixed.nii.gz", *model, "-o", out]


def apply(runs, scans, out):
    files = sorted(scans.iterdir()) if scans.is_dir() else [scans]
    pairs = [path for file in files for path in (file, out / f"{file.name}_moved.nii.gz")]
    return ["apply", runs / "still.tfm", *pairs]


def evaluate(runs, scans, out):
    return ["evaluate", scans, scans, "--csv", f"{out}.csv"]


def synthesize(runs, scans, out):
    return ["synthesize", scans, "-o", out, "-n", 1, "--recipe", runs / "recipe.json"]


def train(runs, scans, out):
    size = ("--features", 2, "--levels", 1, "--epochs", 1, "--steps-per-epoch", 1)
    return ["train", "segmentation", scans, "-o", out, *size, "--recipe", runs / "recipe.json"]


BATCHES = (segment, strip, register, apply, evaluate, synthesize)
LABELS = (evaluate, synthesize)


def run(words):
    return main([str(word) for word in words])
