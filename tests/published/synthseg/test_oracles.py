"""Against what the authors' program made, from file to file, with its layout of weights."""

import csv
import functools

import nibabel as nib
import numpy as np
import pytest

from synthtf.interop.synthseg import QUALITY
from synthtf.published.synthseg.labels import QUALITY_NAMES, VERSION_1, VERSION_2
from synthtf.published.synthseg.networks import Networks
from synthtf.published.synthseg.pipeline import SynthSeg
from synthtf.published.synthseg.preparing import Preparation

FOLDER = "oracles/published/"

# Padded to 128, a case takes 10 s. The robust one and that with parcels are absent: noise of 1e-7
# in the input changes half of the labels of the one and 0.3 % of the other's, since untrained
# networks follow the most likely of nearly equal labels.
CASES = [
    ("synthseg", "crop32"),
    ("synthseg", "crop32_fast"),
    ("synthseg", "crop32_ct"),
    ("synthseg", "crop32_native"),
    pytest.param("synthseg", "default", marks=pytest.mark.slow),
    ("synthseg_v1", "crop32"),
    ("synthseg_robust", "crop32"),
    ("synthseg_parc", "crop32"),
    ("synthseg_parc", "crop32_fast"),
    ("synthseg_parc", "crop32_robust"),
    ("synthseg_qc", "crop32_qc24"),
    ("synthseg_qc", "crop32_qc48"),
    ("synthseg_qc", "crop32_fast_qc24"),
    ("synthseg_qc", "crop32_parc_qc48"),
]


@functools.cache
def networks(folder, version, parcels, quality):
    labels = VERSION_1 if version == "1.0" else VERSION_2
    loaded = Networks.load(
        labels,
        folder / f"synthseg_{version}.h5",
        folder / "synthseg_parc_2.0.h5" if parcels else None,
        folder / "synthseg_qc_2.0.h5" if quality else None,
        robust="robust" in version,
    )
    if parcels or quality:  # compiled once for all cases
        plain = networks(folder, version, False, False)
        others = {} if not (parcels and quality) else networks(folder, version, True, False).parts
        loaded = Networks({**loaded.parts, **others, **plain.parts}, labels, loaded.budget)
    return loaded


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize(("folder", "case"), CASES)
def test_case(shared, folder, case):
    where, inputs = shared(FOLDER + folder), shared(FOLDER + "synthseg")
    words = case.split("_")
    robust = "robust" in words or folder == "synthseg_robust"
    version = "1.0" if folder == "synthseg_v1" else "robust_2.0" if robust else "2.0"
    sizes = [int(word[2:]) for word in words if word.startswith("qc")]
    parcels = "parc" in words or folder == "synthseg_parc"
    pipeline = SynthSeg(
        networks(inputs, version, parcels, bool(sizes)),
        Preparation("ct" in words, (32,) if "crop32" in words else None),
        fast="fast" in words,
        quality_size=sizes[0] if sizes else 224,
    )
    name = next((f"input_{word}" for word in words if word in ("ct", "native")), "input")
    found = pipeline.segment(inputs / f"{name}.nii.gz")

    labels = nib.load(where / f"{case}_seg.nii.gz")
    assert (np.asarray(labels.dataobj) == found.labels).mean() >= 0.999
    np.testing.assert_allclose(found.prepared.affine, labels.affine, atol=1e-5)
    recorded = np.load(where / f"{case}_posteriors.npz")
    posteriors = found.posteriors()
    whole = case == "default"  # where one voxel more or less is above a threshold
    np.testing.assert_allclose(
        posteriors[::2, ::2, ::2], recorded["every_second_voxel"], atol=5e-4 if whole else 1e-4
    )
    header, row = rows(where / f"{case}_volumes.csv")
    assert header[1:] == list(found.volumes)
    volumes = np.array(row[1:], float)
    np.testing.assert_allclose(list(found.volumes.values()), volumes, atol=1 if whole else 0.01)
    if sizes:
        header, row = rows(where / f"{case}_qc.csv")
        assert header[1:] == list(QUALITY_NAMES) and QUALITY in pipeline.networks.parts
        np.testing.assert_allclose(found.quality, np.array(row[1:], float), atol=1e-3)
