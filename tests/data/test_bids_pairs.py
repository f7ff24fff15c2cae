"""Pairs of scans of BIDS data sets, and names of what is derived from them."""

import json

import pytest

from synthtf.data.bids_description import describe_derivatives
from synthtf.data.bids_pairs import PairDerivative, find_pairs

MOVED, BACK = PairDerivative(None), PairDerivative(None, backward=True)
FORWARD, BACKWARD = PairDerivative("xfm", ".lta"), PairDerivative("xfm", ".lta", backward=True)


def dataset(root, *names):
    for name in names:
        entities = name.split("_")
        folder = root.joinpath(*[e for e in entities if e[:4] in ("sub-", "ses-")], "anat")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.nii.gz").touch()
    (root / "dataset_description.json").write_text(json.dumps({"Name": root.name}))
    return root


@pytest.fixture
def study(tmp_path):
    return dataset(
        tmp_path / "raw",
        "sub-1_ses-a_FLAIR",
        "sub-1_ses-a_run-1_T1w",
        "sub-1_ses-a_run-2_T1w",
        "sub-1_ses-b_T1w",
        "sub-2_FLAIR",
        "sub-2_T1w",
    )


def names(pairs):
    return [tuple(path.name.removesuffix(".nii.gz") for path in pair) for pair in pairs]


def test_scans_of_a_subject_move_to_its_first(study):
    assert names(find_pairs(study)) == [
        ("sub-1_ses-a_run-1_T1w", "sub-1_ses-a_FLAIR"),
        ("sub-1_ses-a_run-2_T1w", "sub-1_ses-a_FLAIR"),
        ("sub-1_ses-b_T1w", "sub-1_ses-a_FLAIR"),
        ("sub-2_T1w", "sub-2_FLAIR"),
    ]


def test_suffixes_pair_the_scans_of_a_session(study):
    with pytest.warns(UserWarning, match="left out 1 moving scans whose session has no fixed one"):
        pairs = find_pairs(study, moving_suffix="T1w", fixed_suffix="FLAIR")
    assert names(pairs) == [
        ("sub-1_ses-a_run-1_T1w", "sub-1_ses-a_FLAIR"),
        ("sub-1_ses-a_run-2_T1w", "sub-1_ses-a_FLAIR"),
        ("sub-2_T1w", "sub-2_FLAIR"),
    ]
    assert names(find_pairs(study, fixed_suffix="T1w")) == [
        ("sub-1_ses-a_FLAIR", "sub-1_ses-a_run-1_T1w"),
        ("sub-2_FLAIR", "sub-2_T1w"),
    ]
    assert names(find_pairs(study, moving_suffix="T1w", fixed_suffix="T1w")) == [
        ("sub-1_ses-a_run-2_T1w", "sub-1_ses-a_run-1_T1w"),
    ]


def test_fixed_scans_of_another_data_set_or_one_image(study, tmp_path):
    other = dataset(tmp_path / "other", "sub-2_T2w")
    with pytest.warns(UserWarning, match="left out 4 moving scans"):
        pairs = find_pairs(study, other)
    assert names(pairs) == [("sub-2_FLAIR", "sub-2_T2w"), ("sub-2_T1w", "sub-2_T2w")]
    pairs = find_pairs(study, tmp_path / "MNI.nii.gz", moving_suffix="FLAIR")
    assert names(pairs) == [("sub-1_ses-a_FLAIR", "MNI"), ("sub-2_FLAIR", "MNI")]


def test_no_pair_names_the_suffixes(study):
    with pytest.raises(ValueError, match=r"no session has .* called _T2w; .* are FLAIR, T1w"):
        find_pairs(study, fixed_suffix="T2w")


@pytest.mark.parametrize(
    ("kind", "moving", "fixed", "name"),
    [
        (FORWARD, "sub-1_T1w", "sub-1_FLAIR", "sub-1_from-T1w_to-FLAIR_mode-image_xfm.lta"),
        (BACKWARD, "sub-1_T1w", "sub-1_FLAIR", "sub-1_from-FLAIR_to-T1w_mode-image_xfm.lta"),
        (
            FORWARD,
            "sub-1_ses-b_T1w",
            "sub-1_ses-a_T1w",
            "sub-1_ses-b_from-T1w_to-sesaT1w_mode-image_xfm.lta",
        ),
        (
            PairDerivative("xfm", middle=True),
            "sub-1_desc-x_T1w",
            "MNI152_1mm",
            "sub-1_from-T1w_to-MNI1521mmMid_mode-image_desc-x_xfm.nii.gz",
        ),
        (MOVED, "sub-1_T1w", "sub-1_FLAIR", "sub-1_space-FLAIR_desc-registered_T1w.nii.gz"),
        (
            BACK,
            "sub-1_run-2_T1w",
            "sub-1_acq-x_FLAIR",
            "sub-1_acq-x_space-run2T1w_desc-registered_FLAIR.nii.gz",
        ),
        (BACK, "sub-1_T1w", "MNI", "sub-1_space-T1w_desc-registered_MNI.nii.gz"),
        (MOVED, "sub-1_T1w", "MNI", "sub-1_space-MNI_desc-registered_T1w.nii.gz"),
    ],
)
def test_names_of_derivatives(kind, moving, fixed, name):
    assert kind.name(f"{moving}.nii.gz", f"{fixed}.nii.gz") == name


def test_derivatives_lie_where_the_moving_scans_do_and_differ(study, tmp_path):
    pairs = find_pairs(study)
    kinds = (MOVED, BACK, FORWARD, BACKWARD, PairDerivative("figure", ".png"))
    paths = [kind.path(tmp_path / "out", study, *pair) for kind in kinds for pair in pairs]
    assert len(set(paths)) == len(kinds) * len(pairs)
    assert paths[2] == tmp_path / (
        "out/sub-1/ses-b/anat/sub-1_ses-b_space-sesaFLAIR_desc-registered_T1w.nii.gz"
    )


def test_what_bids_does_not_know_is_ignored(study, tmp_path):
    describe_derivatives(tmp_path / "out", study, "1", [FORWARD, BACKWARD, MOVED])
    assert (tmp_path / "out" / ".bidsignore").read_text() == "*_xfm.*\n"
    for _ in range(2):  # another command writes there, too
        describe_derivatives(tmp_path / "out", study, "1", [PairDerivative("figure", ".png")])
        assert (tmp_path / "out" / ".bidsignore").read_text() == "*_xfm.*\n*_figure.*\n"
