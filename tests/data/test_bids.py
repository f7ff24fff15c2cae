"""Scans of BIDS data sets, and names and descriptions of derivatives."""

import json

import pytest

from synthtf.data.bids import (
    DatasetPart,
    Derivative,
    check_output_folder,
    find_scans,
    image_facts,
    is_dataset,
    source_facts,
)
from synthtf.data.bids_description import describe_derivatives, write_look_up_table

SEGMENTATION, MASK, IMAGE = Derivative("x", "dseg"), Derivative("brain", "mask"), Derivative("b")


@pytest.fixture
def dataset(tmp_path):
    """A data set with what is a scan, and with what is none."""
    root = tmp_path / "raw ü"
    for name in (
        "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-01/ses-b/anat/sub-01_ses-b_acq-x_run-1_FLAIR.nii",
        "sub-01/ses-a/anat/sub-01_ses-a_part-mag_T2w.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_T1rho.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_part-phase_T2w.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_T1w.json",
        "sub-02/anat/sub-02_mod-T1w_defacemask.nii.gz",
        "sub-02/anat/sub-02_label-lesion_mask.nii.gz",
        "sub-02/anat/sub-02_dseg.nii.gz",
        "sub-02/anat/._sub-02_T1w.nii.gz",
        "sub-02/func/sub-02_task-rest_bold.nii.gz",
        "derivatives/other/sub-02/anat/sub-02_desc-preproc_T1w.nii.gz",
        "sourcedata/sub-02/anat/sub-02_T1w.nii.gz",
        "T1w.nii.gz",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    describe(root, Name="Study", BIDSVersion="1.8.0", DatasetDOI="doi:10.1/x")
    return root


def describe(folder, **facts):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset_description.json").write_text(json.dumps(facts))


def test_anatomical_scans_are_found_by_subject_and_session(dataset):
    assert is_dataset(dataset) and not is_dataset(dataset / "sub-01")
    assert [path.relative_to(dataset).as_posix() for path in find_scans(dataset)] == [
        "sub-01/ses-a/anat/sub-01_ses-a_T1rho.nii.gz",
        "sub-01/ses-a/anat/sub-01_ses-a_part-mag_T2w.nii.gz",
        "sub-01/ses-b/anat/sub-01_ses-b_acq-x_run-1_FLAIR.nii",
        "sub-02/anat/sub-02_T1w.nii.gz",
    ]


def test_links_to_missing_content_are_listed(dataset):
    """As of DataLad: such a scan is missed by name, not overlooked."""
    path = dataset / "sub-02/anat/sub-02_T2w.nii.gz"
    path.symlink_to("../../.git/annex/objects/gone")
    assert path in find_scans(dataset)


@pytest.mark.parametrize("name", ["T1.nii.gz", "sub-03_T1w.nii.gz", "sub-02_T1w_brain.nii.gz"])
def test_names_that_are_not_of_bids_are_left_out_with_a_warning(dataset, name):
    (dataset / "sub-02/anat" / name).touch()
    with pytest.warns(UserWarning, match=f"left out 1 volumes whose names.*sub-02/anat/{name}"):
        assert len(find_scans(dataset)) == 4


def test_a_data_set_without_scans(tmp_path):
    describe(tmp_path, Name="x")
    with pytest.raises(ValueError, match="BIDS data set without anatomical scans; it must"):
        find_scans(tmp_path)


@pytest.mark.parametrize(
    ("kind", "scan", "name"),
    [
        (SEGMENTATION, "sub-1_T1w.nii", "sub-1_space-orig_desc-x_dseg.nii.gz"),
        (SEGMENTATION, "sub-1_T2w.nii", "sub-1_space-orig_desc-xT2w_dseg.nii.gz"),
        (SEGMENTATION, "sub-1_chunk-2_T1w.nii", "sub-1_space-orig_chunk-2_desc-x_dseg.nii.gz"),
        (MASK, "sub-1_space-MNI_res-2_T1w.nii", "sub-1_space-MNI_res-2_desc-brain_mask.nii.gz"),
        (MASK, "sub-1_desc-preproc_T1w.nii", "sub-1_space-orig_desc-preprocbrain_mask.nii.gz"),
        (IMAGE, "sub-1_ses-a_run-1_T2w.nii", "sub-1_ses-a_run-1_desc-b_T2w.nii.gz"),
    ],
)
def test_names_of_derivatives(kind, scan, name):
    assert kind.name(scan) == name


def test_derivatives_lie_where_the_scans_do_and_differ(dataset, tmp_path):
    scans = find_scans(dataset)
    paths = [SEGMENTATION.path(tmp_path / "out", dataset, scan) for scan in scans]
    assert len(set(paths)) == len(scans)
    assert paths[2] == tmp_path / (
        "out/sub-01/ses-b/anat/sub-01_ses-b_acq-x_run-1_space-orig_desc-xFLAIR_dseg.nii.gz"
    )


def test_a_path_never_leaves_the_output_folder(tmp_path):
    with pytest.raises(ValueError, match=r"'\.\.' leaves the folder"):
        MASK.path(tmp_path / "out", tmp_path, tmp_path / ".." / "sub-1_T1w.nii.gz")


def test_the_description_of_derivatives(dataset, tmp_path):
    inside = dataset / "derivatives" / "synthtf"
    describe_derivatives(inside, dataset, "9.9", [MASK, Derivative("brain", "sdt")])
    found = json.loads((inside / "dataset_description.json").read_text())
    assert found == {
        "Name": "Outputs of synthtf for Study",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "synthtf", "Version": "9.9"}],
        "SourceDatasets": [{"URL": dataset.resolve().as_uri(), "DOI": "doi:10.1/x"}],
        "DatasetLinks": {"raw": "../.."},
    }
    assert (inside / ".bidsignore").read_text() == "*_sdt.*\n"
    describe_derivatives(tmp_path / "out", dataset, "9.9", [MASK])
    found = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert found["DatasetLinks"] == {"raw": dataset.resolve().as_uri()}
    assert not (tmp_path / "out" / ".bidsignore").exists()


def test_a_source_whose_description_says_nothing(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "dataset_description.json").touch()
    describe_derivatives(tmp_path / "out", tmp_path / "raw", "1", [MASK])
    found = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert found["Name"] == "Outputs of synthtf for raw"


def test_the_look_up_table(tmp_path):
    write_look_up_table(tmp_path, {0: "background", 24: "fluid ü"})
    text = (tmp_path / "dseg.tsv").read_text(encoding="utf-8")
    assert text == "index\tname\n0\tbackground\n24\tfluid ü\n"


def test_parts_of_a_data_set(tmp_path):
    names = "sub-1/ses-a/anat/sub-1_ses-a", "sub-1/ses-b/anat/sub-1_ses-b", "sub-2/anat/sub-2"
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / f"{name}_T1w.nii").touch()
    describe(tmp_path)

    def found(*labels):
        scans = find_scans(DatasetPart(tmp_path, *labels))
        return [names.index(scan.relative_to(tmp_path).as_posix()[:-8]) for scan in scans]

    assert is_dataset(DatasetPart(tmp_path))
    assert (found(), found(["2"]), found(["sub-1"])) == ([0, 1, 2], [2], [0, 1])
    assert (found((), ["b"]), found(["1", "2"], ["ses-a"])) == ([1], [0])
    with pytest.raises(ValueError, match=r"participant of .* has sub-1, sub-2. Received: 3, x"):
        found(["x", "1", "3"])
    with pytest.raises(ValueError, match=r"must name a session of .*, which has none. Received: a"):
        found(["2"], ["a"])


def test_images_have_a_skull_unless_it_is_said_that_they_have_none(tmp_path):
    scan = tmp_path / "sub-1_T1w.nii.gz"
    assert image_facts(tmp_path / "sub-1_desc-x_T1w.json", scan) == {"SkullStripped": False}
    assert image_facts(tmp_path / "sub-1_desc-x_mask.nii.gz", scan) == {}
    (tmp_path / "sub-1_T1w.json").write_text('{"SkullStripped": true}')
    assert image_facts(tmp_path / "sub-1_desc-x_T1w.json", scan) == {"SkullStripped": True}


def test_a_readme_is_written_unless_there_is_one(dataset, tmp_path):
    describe_derivatives(tmp_path / "out", dataset, "9.9", [MASK])
    readme = tmp_path / "out" / "README.md"
    assert readme.read_text().startswith("# Outputs of synthtf for Study\n")
    readme.rename(readme.with_suffix(""))
    describe_derivatives(tmp_path / "out", dataset, "9.9", [MASK])
    assert not readme.exists()


def test_sources_are_uris(dataset):
    scan = dataset / "sub-02/anat/sub-02_T1w.nii.gz"
    facts = {"Sources": ["bids:raw:sub-02/anat/sub-02_T1w.nii.gz"]}
    assert source_facts(dataset, scan) == {**facts, "SpatialReference": "orig"}
    scan = scan.with_name("sub-02_space-MNI152_T1w.nii.gz")
    assert set(source_facts(dataset, scan)) == {"Sources"}


def test_folders_that_hold_something_else_are_refused(dataset, tmp_path):
    with pytest.raises(ValueError, match="is also the input; give another folder"):
        check_output_folder(dataset / "sub-01" / "..", dataset)
    for name in ("out.nii.gz", "out.txt"):
        with pytest.raises(ValueError, match=f"{name} is a file, but the input is the BIDS data"):
            check_output_folder(tmp_path / name, dataset)
    describe(tmp_path / "other", Name="x", GeneratedBy=[{"Name": "fmriprep"}])
    with pytest.raises(ValueError, match="is a BIDS data set of another tool"):
        check_output_folder(tmp_path / "other", dataset)
    describe_derivatives(tmp_path / "ours", dataset, "1", [MASK])
    check_output_folder(tmp_path / "ours", dataset)
    check_output_folder(dataset / "derivatives" / "synthtf-2", dataset)
    with pytest.warns(UserWarning, match="BIDS asks for synthtf in the name of this folder"):
        check_output_folder(dataset / "derivatives" / "seg", dataset)
