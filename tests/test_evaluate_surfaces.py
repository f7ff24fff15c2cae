import csv

import numpy as np
import pytest
from scripts_as_modules import load_script
from surface_runs import RADII, make_labels, make_scan, segmentation_run

from synthtf.data import write_volume
from synthtf.data.surfaces import Surface
from synthtf.synthesis import Recipe

pytest.importorskip("skimage")


def test_the_thickness_of_scans_is_measured(tmp_path, capsys):
    run, scan = segmentation_run(tmp_path / "run"), make_scan()
    write_volume(tmp_path / "scan.nii.gz", scan.data, scan)
    words = ["--maps", "--scans", str(tmp_path / "scan.nii.gz"), "--csv", str(tmp_path / "x.csv")]
    load_script("evaluate_surfaces").main([run.name, *words])
    assert capsys.readouterr().out.startswith("| run | image | surface | mean | p95 |")
    with (tmp_path / "x.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = ["left white", "left pial", "right white", "right pial"]
    assert [row["surface"] for row in rows] == names
    assert {row["handles"] for row in rows} == {"0"}
    for row in rows[::2]:
        assert abs(float(row["thickness"]) - (RADII[1] - RADII[0])) < 0.5


@pytest.mark.filterwarnings("ignore:.*labels that never occur")
def test_each_map_gives_an_image_and_its_own_surfaces(tmp_path, monkeypatch):
    script = load_script("evaluate_surfaces")
    monkeypatch.setattr(script, "SHAPE", (88, 48, 48))
    labels = make_labels()
    write_volume(tmp_path / "map.nii.gz", labels.data, labels)
    table = segmentation_run(tmp_path / "run").table
    recipe = Recipe([{"layer": "RandomIntensity"}])
    ((image, truth),) = script.samples([tmp_path / "map.nii.gz"], table, recipe, 0)
    assert image.data.shape == (88, 48, 48) and image.data.std() > 0
    white = truth.surfaces["left", "white"].vertices
    np.testing.assert_allclose(np.linalg.norm(white - white.mean(0), axis=1), RADII[0], atol=1.2)
    assert white[:, 0].mean() < truth.surfaces["right", "white"].vertices[:, 0].mean()
    for row in script.measure(truth, truth):
        assert row[1:4] == [0, 0, 0]


def test_distances_are_those_of_both_ways():
    script = load_script("evaluate_surfaces")
    points = [np.array(x, "float32") for x in ([[0, 0, 0], [6, 0, 0]], [[0, 1, 0]])]
    one, other = (Surface(x, np.zeros((0, 3), "int32"), "left", "pial") for x in points)
    np.testing.assert_allclose(script.distances(one, other), [1, np.sqrt(37), 1], rtol=1e-6)
