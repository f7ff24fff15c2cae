"""The page that segments in the browser: its files, its arithmetic, and its server."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest
from scripts_as_modules import load_script

from synthtf.data import LabelTable
from synthtf.data.phantom_rendering import render_phantom
from synthtf.data.phantoms import head_phantom
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference import segment
from synthtf.inference.page import exporting
from synthtf.inference.page.serving import serving
from synthtf.runs import Run

chromium, browser = load_script("chromium"), load_script("browser")
TABLE = LabelTable(
    ids=(0, 2, 3, 41, 42),
    names=("background", "left dark", "left brainstem", "right dark", "right brainstem"),
    sides=("none", "left", "left", "right", "right"),
    partners=(None, 41, 42, 2, 3),
    outputs=(0, 2, 3, 41, 42),
    groups=("", "", "", "", ""),
    brain=("no", "yes", "yes", "yes", "yes"),
)
KERNEL = [[0.0, 9.0, 14.0, 8.8, 13.7]]
BIAS = [0.0, -2.0, -5.0, -2.1, -5.2]
JAVASCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
import { segment } from "%s";
const facts = JSON.parse(readFileSync("network.json"));
const scan = JSON.parse(readFileSync("scan.json"));
const bytes = readFileSync("scan.bin");
scan.data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const run = async (data) => {
  const count = facts.bias.length, out = new Float32Array(data.length * count);
  data.forEach((x, i) => {
    const weights = facts.bias.map((b, k) => Math.exp(b + x * facts.kernel[k]));
    const total = weights.reduce((a, b) => a + b);
    weights.forEach((w, k) => (out[i * count + k] = w / total));
  });
  return out;
};
const found = await segment(scan, facts, run);
writeFileSync("labels.bin", Buffer.from(found.labels.buffer));
writeFileSync("volumes.json", JSON.stringify(found.volumes));
"""


@pytest.fixture(scope="module")
def run():
    """A network that looks at the intensity of each voxel by itself."""
    image = keras.Input((None, None, None, 1), name="image")
    dense = keras.layers.Dense(5, activation="softmax", name="posteriors")
    network = keras.Model(image, dense(image))
    dense.set_weights([np.array(KERNEL), np.array(BIAS)])
    facts = {"task": "segmentation", "spacing": [3.0] * 3, "shape": [32] * 3, "multiple": 4}
    facts["output_labels"] = list(TABLE.output_labels)
    return Run(None, TABLE, None, facts, network)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Libraries that are there already."""
    home = tmp_path / "cache"
    monkeypatch.setenv("SYNTHTF_CACHE", str(home))
    for package, version, _, files in exporting._LIBRARIES:
        folder = home / f"{package.replace('/', '-').lstrip('@')}-{version}"
        folder.mkdir(parents=True)
        for name in files.values():
            (folder / name).write_text(name)
    return home


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not there")
@pytest.mark.parametrize("codes", ["RAS", "LIA", "PSR"])
def test_the_page_gives_the_labels_of_synthtf(run, tmp_path, codes):
    import nibabel as nib

    head = head_phantom(3, (50, 60, 55), 4.0)
    image = render_phantom(head, "T1", seed=3, spacing=4.0)
    affine = np.diag([4.0, 4.1, 3.7, 1.0])
    affine[1, 2] = 0.3  # oblique
    scan = nib.Nifti1Image(image, affine).as_reoriented(nib.orientations.axcodes2ornt(codes))
    data = np.asarray(scan.dataobj, np.float32)
    data[:3] = -3000  # padding
    with pytest.warns(UserWarning, match="padding"):
        expected = segment(Volume(data, scan.affine), run, refine=False)
    facts = {**exporting._of_page(run), "spacing_mm": [3.0] * 3, "multiple": 4}
    facts |= {"output_labels": list(run.output_labels), "kernel": KERNEL[0], "bias": BIAS}
    (tmp_path / "network.json").write_text(json.dumps(facts))
    geometry = {"shape": data.shape, "affine": scan.affine.tolist()}
    (tmp_path / "scan.json").write_text(json.dumps(geometry))
    data.ravel("F").tofile(tmp_path / "scan.bin")
    (tmp_path / "try.mjs").write_text(JAVASCRIPT % (exporting.STATIC / "segment.mjs"))
    done = subprocess.run(["node", "try.mjs"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    labels = np.fromfile(tmp_path / "labels.bin", "int32").reshape(data.shape, order="F")
    assert len(np.unique(expected.labels.data)) > 2
    assert np.mean(labels == expected.labels.data) > 0.9999
    volumes = json.loads((tmp_path / "volumes.json").read_text())
    np.testing.assert_allclose(volumes[1:], list(expected.volumes.values()), rtol=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
@pytest.mark.skipif(chromium.CHROMIUM is None, reason="Chromium is not there")
@pytest.mark.parametrize(
    ("name", "provider"),
    [("intensities", "wasm"), ("intensities", "webgpu"), ("heads-2mm", "wasm")],
)
def test_a_browser_gives_the_labels_of_synthtf(run, tmp_path, name, provider):
    pytest.importorskip("tf2onnx")
    model = run if name == "intensities" else name
    scan, affine = tmp_path / "scan.nii.gz", np.diag([-2.5, 2.5, 2.5, 1.0])
    head = head_phantom(3, (72, 84, 72), 2.5)
    write_volume(scan, render_phantom(head, "T1", seed=3, spacing=2.5)[::-1], affine=affine)
    expected = segment(scan, model, refine=False).labels.data
    try:
        folder = exporting.export_page(model, tmp_path / "page").parent
    except OSError as error:
        pytest.skip(f"the libraries of the page cannot be fetched: {error}")
    saved = tmp_path / "scan_labels.nii.gz"
    served = serving(folder, {"scan.nii.gz": scan})
    with served as address, chromium.browsing(tmp_path, *browser.WEBGPU) as page:
        if not browser.open_page(page, address, provider == "webgpu"):
            pytest.skip("this Chromium has no WebGPU")
        with browser.most_memory(page.process) as most:
            assert browser.segment(page, 1200).startswith("Done in")
        assert most[0] > 0.05
        page.value("document.getElementById('save').click()")
        for _ in range(100):
            if saved.exists():
                break
            time.sleep(0.1)
    found = read_volume(saved, labels=True)
    np.testing.assert_allclose(found.affine, affine)
    assert len(np.unique(expected)) > 2
    assert np.mean(found.data == expected) > 0.995


def test_files_of_the_page(run, cache, tmp_path, monkeypatch):
    def export(run, folder, kind):
        Path(folder, "network.json").write_text('{"output_labels": [0, 2]}')

    monkeypatch.setattr(exporting, "export_run", export)

    page = exporting.export_page(run, tmp_path / "out")
    assert page.read_text().startswith("<!doctype html>")
    there = {path.name for path in page.parent.iterdir()}
    used = {"app.mjs", "worker.mjs", "segment.mjs", "style.css", "niivue.mjs", "network.json"}
    assert used <= there and "ort.webgpu.min.mjs" in there
    facts = json.loads((page.parent / "network.json").read_text())
    assert facts["mirrored"] == [0, 3, 4, 1, 2] and facts["brain_channels"] == [1, 2, 3, 4]
    assert [label["value"] for label in facts["labels"]] == [2, 3, 41, 42]
    assert all(0 <= part <= 255 for label in facts["labels"] for part in label["colour"])


def test_libraries_that_are_not_those_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHTF_CACHE", str(tmp_path))
    folder = tmp_path / "registry" / "onnxruntime-web" / "-"
    folder.mkdir(parents=True)
    (folder / "onnxruntime-web-1.30.0.tgz").write_bytes(b"something else")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", (tmp_path / "registry").as_uri())
    with pytest.raises(OSError, match="the checksum is not that of onnxruntime-web"):
        exporting.write_page(tmp_path / "out")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", (tmp_path / "nowhere").as_uri())
    with pytest.raises(OSError, match="out of reach"):
        exporting.write_page(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_page_to_look_at_labels(cache, tmp_path):
    page = exporting.view_page(tmp_path / "out", TABLE)
    facts = json.loads((page.parent / "network.json").read_text())
    assert [label["name"] for label in facts["labels"]][:2] == ["left dark", "left brainstem"]
    assert "output_labels" not in facts


def test_the_server_gives_files_of_the_folder_and_those_that_it_was_told(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "app.mjs").write_text("1")
    (tmp_path / "scan.nii.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "secret.txt").write_text("no")
    with serving(tmp_path / "page", {"scan/s.nii.gz": tmp_path / "scan.nii.gz"}) as address:
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address + "app.mjs") as answer:
            assert answer.headers["Content-Type"] == "text/javascript"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        with urllib.request.urlopen(address + "scan/s.nii.gz?x=1") as answer:
            assert answer.read() == b"\x1f\x8b" and "Content-Encoding" not in answer.headers
        for name in ("secret.txt", "../secret.txt", "scan.nii.gz"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(address + name)
