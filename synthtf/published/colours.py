"""FreeSurfer's colours of labels, inside files of label maps."""

import gzip
import os
import struct
from pathlib import Path

import nibabel as nib

from synthtf.data.paths import extension
from synthtf.data.whole_files import write_whole, written_aside

Table = dict[int, tuple[str, tuple[int, int, int]]]

_TAG = 1  # of a table of colours, in MGH files and in FreeSurfer's extension of NIfTI
_NIFTI_EXTENSION = 14

_SIDED = {
    "Cerebral-White-Matter": (2, 41, (245, 245, 245)),
    "Cerebral-Cortex": (3, 42, (205, 62, 78)),
    "Lateral-Ventricle": (4, 43, (120, 18, 134)),
    "Inf-Lat-Vent": (5, 44, (196, 58, 250)),
    "Cerebellum-White-Matter": (7, 46, (220, 248, 164)),
    "Cerebellum-Cortex": (8, 47, (230, 148, 34)),
    "Thalamus": (10, 49, (0, 118, 14)),
    "Caudate": (11, 50, (122, 186, 220)),
    "Putamen": (12, 51, (236, 13, 176)),
    "Pallidum": (13, 52, (12, 48, 255)),
    "Hippocampus": (17, 53, (220, 216, 20)),
    "Amygdala": (18, 54, (103, 255, 255)),
    "Accumbens-area": (26, 58, (255, 165, 0)),
    "VentralDC": (28, 60, (165, 42, 42)),
}
_MIDDLE: Table = {
    0: ("Unknown", (0, 0, 0)),
    14: ("3rd-Ventricle", (204, 182, 142)),
    15: ("4th-Ventricle", (42, 204, 164)),
    16: ("Brain-Stem", (119, 159, 176)),
    24: ("CSF", (60, 60, 60)),
}
# 1001 and on at the left, 2001 and on at the right; without the corpus callosum, 1004.
_PARCELS = (
    ("bankssts", (25, 100, 40)),
    ("caudalanteriorcingulate", (125, 100, 160)),
    ("caudalmiddlefrontal", (100, 25, 0)),
    None,
    ("cuneus", (220, 20, 100)),
    ("entorhinal", (220, 20, 10)),
    ("fusiform", (180, 220, 140)),
    ("inferiorparietal", (220, 60, 220)),
    ("inferiortemporal", (180, 40, 120)),
    ("isthmuscingulate", (140, 20, 140)),
    ("lateraloccipital", (20, 30, 140)),
    ("lateralorbitofrontal", (35, 75, 50)),
    ("lingual", (225, 140, 140)),
    ("medialorbitofrontal", (200, 35, 75)),
    ("middletemporal", (160, 100, 50)),
    ("parahippocampal", (20, 220, 60)),
    ("paracentral", (60, 220, 60)),
    ("parsopercularis", (220, 180, 140)),
    ("parsorbitalis", (20, 100, 50)),
    ("parstriangularis", (220, 60, 20)),
    ("pericalcarine", (120, 100, 60)),
    ("postcentral", (220, 20, 20)),
    ("posteriorcingulate", (220, 180, 220)),
    ("precentral", (60, 20, 220)),
    ("precuneus", (160, 140, 180)),
    ("rostralanteriorcingulate", (80, 20, 140)),
    ("rostralmiddlefrontal", (75, 50, 125)),
    ("superiorfrontal", (20, 220, 160)),
    ("superiorparietal", (20, 180, 140)),
    ("superiortemporal", (140, 220, 220)),
    ("supramarginal", (80, 160, 20)),
    ("frontalpole", (100, 0, 100)),
    ("temporalpole", (70, 70, 70)),
    ("transversetemporal", (150, 150, 200)),
    ("insula", (255, 192, 32)),
)


def colour_table() -> Table:
    """Give the name and the colour of labels: FreeSurfer's table, or what SynthSeg needs of it.

    Returns:
        Label to name and red, green and blue, from `$FREESURFER_HOME/FreeSurferColorLUT.txt` if
        there is such a file.

    Raises:
        ValueError: if that file is no table of colours.
    """
    path = Path(os.environ.get("FREESURFER_HOME") or os.devnull) / "FreeSurferColorLUT.txt"
    if path.is_file():
        return _read(path)
    table = dict(_MIDDLE)
    for name, (left, right, colour) in _SIDED.items():
        table |= {left: (f"Left-{name}", colour), right: (f"Right-{name}", colour)}
    for first, side in ((1001, "lh"), (2001, "rh")):
        for label, parcel in enumerate(_PARCELS, first):
            if parcel is not None:
                table[label] = (f"ctx-{side}-{parcel[0]}", parcel[1])
    return dict(sorted(table.items()))


def embed_colours(path: Path, table: Table) -> None:
    """Put a table of colours into a file of labels, where FreeSurfer and surfa look for it.

    Args:
        path: an .mgz, .mgh, .nii or .nii.gz file; others are left alone.
        table: from `colour_table`.

    Raises:
        OSError: if the file cannot be written.
    """
    data = _binary(table)
    kind = extension(path)
    if kind in (".mgz", ".mgh"):
        # It follows the parameters of the scan, which nibabel writes after the voxels.
        tag = struct.pack(">i", _TAG) + data
        if kind == ".mgh":
            write_whole(path, path.read_bytes() + tag)
        else:
            write_whole(path, gzip.compress(gzip.decompress(path.read_bytes()) + tag, 4, mtime=0))
    elif kind:
        image = nib.load(path)
        # Byte order, intent 0 (an image) and version 1 of the extension; then its tags.
        content = b">" + struct.pack(">hb", 0, 1) + struct.pack(">iq", _TAG, len(data)) + data
        content += struct.pack(">iq", 0, 0)
        extension_type = nib.nifti1.Nifti1Extension
        image.header.extensions.append(extension_type(_NIFTI_EXTENSION, content))
        with written_aside(path) as aside:
            nib.save(image, aside)


def _binary(table: Table) -> bytes:
    """FreeSurfer's binary table, version 2, big-endian."""
    parts = [struct.pack(">iiii", -2, max(table) + 1, 0, len(table))]
    for label, (name, colour) in table.items():
        text = name.encode() + b"\0"
        parts += [struct.pack(">ii", label, len(text)), text, struct.pack(">iiii", *colour, 0)]
    return b"".join(parts)


def _read(path: Path) -> Table:
    table: Table = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            label, name, *colour = words
            red, green, blue = (int(value) for value in colour[:3])
            table[int(label)] = name, (red, green, blue)
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}, must be a label, a name and a colour. Received: {line!r}"
            ) from error
    if not table:
        raise ValueError(f"{path} must hold a table of colours; it is empty")
    return table
