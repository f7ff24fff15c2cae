import dataclasses

from synthtf.cli.main import main
from synthtf.data.label_table import LabelTable
from synthtf.runs.run import Run


def test_a_run_is_described(model, capsys):
    assert main(["info", model.folder]) == 0
    lines = capsys.readouterr().out.splitlines()
    blocks = ["Network", "Training", "Recipe", "Labels"]
    assert [line for line in lines if not line.startswith(" ")] == blocks
    for words in (
        f"folder {model.folder}",
        "spacing 1 x 1 x 1 mm",
        "trained on 64 x 64 x 64 voxels",
        "size must be a multiple of 8",
        "weights 6",
        "steps 1200",
        "gamma RandomGamma()",
        "0 background",
        "16 brain stem",
    ):
        assert words in [" ".join(line.split()) for line in lines]


def test_labels_show_their_partners_and_what_they_are_made_from(model, monkeypatch, capsys):
    table = LabelTable.from_labels((10, 11, 49))
    names = ("background", "left thalamus", "left lesion", "right thalamus")
    partners = (None, 49, None, 10)
    table = dataclasses.replace(table, names=names, partners=partners, outputs=(0, 10, 10, 49))
    found = Run.load(model.folder)
    facts = {**found.metadata, "output_labels": [0, 10, 49]}
    found = Run(found.folder, table, None, facts)
    monkeypatch.setattr(Run, "load", lambda folder: found)
    assert main(["info", model.folder]) == 0
    assert capsys.readouterr().out.endswith(
        "      0  background\n"
        "     10  left thalamus  (mirrored: 49)  (made from 10, 11)\n"
        "     49  right thalamus  (mirrored: 10)\n"
    )


def test_a_missing_run_is_wrong_usage(tmp_path, capsys):
    assert main(["info", str(tmp_path / "absent")]) == 2
    assert "absent is neither a folder nor a model" in capsys.readouterr().err


def test_a_folder_without_a_run(tmp_path, capsys):
    assert main(["info", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("synthtf info: ")
    assert "run.json: not found" in error
