"""Tests of surfaces where they are known: two balls with a shell."""

import json
import sys

import nibabel as nib
import numpy as np
import pytest
from surface_runs import OFFSET, RADII, distance_run, make_scan, segmentation_run

from synthtf.cli.main import main
from synthtf.data.surfaces import read_surface
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume
from synthtf.inference import find_surfaces
from synthtf.inference.surfaces.level_maps import load_surface_run, surface_labels


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {"segmentation": segmentation_run(folder / "s"), "distance": distance_run(folder / "d")}


def radius(surface):
    """Distance of the vertices from the centre of their side."""
    centre = [OFFSET * (1 if surface.side == "right" else -1), 0, 0]
    return np.linalg.norm(surface.vertices - centre, axis=1)


@pytest.mark.parametrize("kind", ["segmentation", "distance"])
def test_surfaces_are_where_they_are_in_the_world_and_have_no_handles(kind, runs):
    pytest.importorskip("skimage")
    found = find_surfaces(make_scan(), runs[kind], flip=False)
    assert found.doubt is None
    for (side, name), surface in found.surfaces.items():
        assert (surface.side, surface.kind) == (side, name)
        assert (surface.pieces, surface.handles) == (1, 0)
        true = RADII[name == "pial"]
        np.testing.assert_allclose(radius(surface), true, atol=1)
        np.testing.assert_allclose(radius(surface).mean(), true, atol=0.3)
        a, b, c = (surface.vertices[surface.triangles[:, i]] for i in range(3))
        a, b, c = (x - surface.vertices.mean(0) for x in (a, b, c))
        volume = float((np.cross(a, b) * c).sum() / 6)
        np.testing.assert_allclose(volume, 4 / 3 * np.pi * true**3, rtol=0.05)  # outwards
    for side, values in found.thickness.items():
        assert values.shape == (len(found.surfaces[side, "white"].vertices),)
        np.testing.assert_allclose(values, RADII[1] - RADII[0], atol=0.8)
        assert len(found.cortical(side)) == len(values)


def test_files_of_a_folder_go_to_a_folder_and_finished_ones_are_skipped(runs, tmp_path, capsys):
    pytest.importorskip("skimage")
    scans, out = tmp_path / "in", tmp_path / "out"
    scan = make_scan()
    write_volume(scans / "a.nii.gz", scan.data, scan)
    (scans / "broken.nii.gz").write_bytes(b"no volume")
    words = ["surfaces", str(scans), "-o", str(out), "--model", runs["segmentation"].name]
    assert main([*words, "--no-flip"]) == 1
    assert "broken.nii.gz" in capsys.readouterr().err
    parts = ("white.surf.gii", "pial.surf.gii", "thickness.shape.gii")
    names = {f"a_hemi-{side}_{part}" for side in "LR" for part in parts}
    assert {p.name for p in out.iterdir()} == names | {f"{name}.json" for name in names}
    points, triangles = read_surface(out / "a_hemi-R_pial.surf.gii")
    np.testing.assert_allclose(points.mean(0), [OFFSET, 0, 0], atol=0.3)
    facts = json.loads((out / "a_hemi-R_pial.surf.gii.json").read_text())
    assert (facts["Vertices"], facts["Handles"]) == (len(points), 0)
    assert facts["Area"] > 0 and triangles.max() == len(points) - 1
    facts = json.loads((out / "a_hemi-L_thickness.shape.gii.json").read_text())
    assert abs(facts["Median"] - 4) < 0.5 and facts["Units"] == "mm"
    values = nib.load(out / "a_hemi-R_thickness.shape.gii").agg_data()
    assert len(values) == len(read_surface(out / "a_hemi-R_white.surf.gii")[0])
    assert main([*words, "--skip-existing"]) == 1
    assert "1 skipped" in capsys.readouterr().err


def test_a_data_set_gets_names_of_bids(runs, tmp_path):
    pytest.importorskip("skimage")
    root, out = tmp_path / "bids", tmp_path / "synthtf"
    scan = make_scan()
    write_volume(root / "sub-1" / "anat" / "sub-1_T2w.nii.gz", scan.data, scan)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    words = ["surfaces", str(root), "-o", str(out), "--model", runs["segmentation"].name]
    assert main([*words, "--no-flip"]) == 0
    names = {p.name for p in (out / "sub-1" / "anat").iterdir()}
    name = "sub-1_hemi-L_space-orig_desc-synthtfT2w_white"
    assert {f"{name}.surf.gii", f"{name}.json"} <= names and len(names) == 12


@pytest.mark.filterwarnings("ignore:the image is constant")
def test_a_scan_without_hemispheres_is_refused(runs):
    pytest.importorskip("skimage")
    scan = make_scan()
    blank = Volume(0 * scan.data, scan.affine)
    with pytest.raises(ValueError, match="found no left cerebral hemisphere"):
        find_surfaces(blank, runs["distance"])


def test_labels_of_both_cortices_are_needed(runs):
    table = runs["segmentation"].table
    found = surface_labels(table, table.output_labels, "run")
    assert found == {
        ("left", "white"): (2,),
        ("left", "pial"): (2, 3),
        ("right", "white"): (41,),
        ("right", "pial"): (41, 42),
    }
    with pytest.raises(ValueError, match="run: expected labels of the right cerebral cortex"):
        surface_labels(table, (0, 2, 3, 7, 41, 46), "run")
    with pytest.raises(ValueError, match="Expected a run of the task 'segmentation'"):
        load_surface_run("strip-3mm")


def test_without_scikit_image_the_way_out_is_said(runs, monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    write_volume(tmp_path / "a.nii.gz", make_scan().data, make_scan())
    assert main(["surfaces", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "out")]) == 2
    assert 'pip install "synthtf[surfaces]"' in capsys.readouterr().err


def test_the_output_is_a_folder(tmp_path, capsys, monkeypatch):
    pytest.importorskip("skimage")
    write_volume(tmp_path / "a.nii.gz", make_scan().data, make_scan())
    assert main(["surfaces", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "x.surf.gii")]) == 2
    assert "must be a folder" in capsys.readouterr().err
