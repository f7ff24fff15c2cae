"""A training run on disk: the task network and all that is needed to use it."""

import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.data.label_table import LabelTable
from synthtf.data.shipped_models import check_files, find_model
from synthtf.data.whole_files import check_archive, write_whole, written_aside
from synthtf.synthesis import Recipe
from synthtf.version import __version__

if TYPE_CHECKING:
    import keras

MODEL, RECIPE, TABLE, FACTS = "model.keras", "recipe.json", "labels.tsv", "run.json"
_REQUIRED = ("task", "shape", "spacing", "multiple", "output_labels")


@dataclass(frozen=True)
class Run:
    """The folder of a run.

    Attributes:
        folder: holds `model.keras`, `recipe.json`, `labels.tsv` and `run.json`, next to the log,
            figures and checkpoints.
        table: labels that the run was trained on and the output labels that they count as.
        config: recipe of the synthesis.
        metadata: what `run.json` holds: task, shape, spacing (mm), version, training.
    """

    folder: Path
    table: LabelTable
    config: Recipe
    metadata: dict[str, Any]

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike,
        table: LabelTable,
        config: Recipe,
        metadata: dict[str, Any],
    ) -> "Run":
        """Make the folder and write all but the model.

        Args:
            folder: made if it does not exist.
            table: label table.
            config: recipe.
            metadata: with at least "task", "shape", "spacing", "multiple" and "output_labels".
        """
        run = cls(Path(folder), table, config, {"synthtf": __version__, **metadata})
        run.folder.mkdir(parents=True, exist_ok=True)
        table.write(run.folder / TABLE)
        config.save(run.folder / RECIPE)
        run.update()
        return run

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Run":
        """Read a run; the network loads when it is first used.

        Args:
            folder: of the run, or the name of a model that comes with the package.

        Raises:
            FileNotFoundError: if a file of the run is missing.
            ValueError: if a file does not hold what it should; the message names it.
        """
        folder = find_model(folder)
        for name in (FACTS, TABLE, RECIPE):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder / name}: not found; a run is the folder that `synthtf train` writes"
                )
        check_files(folder)
        metadata = _read_facts(folder / FACTS)
        table, config = LabelTable.read(folder / TABLE), Recipe.load(folder / RECIPE)
        return cls(folder, table, config, metadata)

    def update(self, **facts: Any) -> None:
        """Add facts to the metadata and write them, in one piece."""
        self.metadata.update(facts)
        write_whole(self.folder / FACTS, self._text().encode())

    def save_model(self, model: "keras.Model") -> None:
        """Write the task network, in one piece."""
        with written_aside(self.folder / MODEL) as aside:
            model.save(aside)

    def _text(self) -> str:
        return json.dumps(self.metadata, indent=2) + "\n"

    @property
    def task(self) -> str:
        """What the network does, such as "segmentation"."""
        return self.metadata["task"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape of the images that it was trained on."""
        return tuple(self.metadata["shape"])

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size that the network expects, in mm per axis."""
        return tuple(float(mm) for mm in self.metadata["spacing"])

    @property
    def multiple(self) -> int:
        """Number that every spatial size of the network's input must be a multiple of."""
        return int(self.metadata["multiple"])

    @property
    def output_labels(self) -> tuple[int, ...]:
        """Label value of each channel of the posteriors."""
        return tuple(self.metadata["output_labels"])

    @property
    def output_pairs(self) -> tuple[tuple[int, int], ...]:
        """Left and right output labels that belong together."""
        return self.table.output_pairs

    @functools.cached_property
    def task_model(self) -> "keras.Model":
        """The task network.

        Raises:
            FileNotFoundError: if the run has not saved one yet.
            ValueError: if the file is not a Keras model that is safe to load.
        """
        import keras

        from synthtf import xla

        path = self.folder / MODEL
        if not path.is_file():
            raise FileNotFoundError(f"{path}: not found; has the training finished an epoch?")
        check_archive(path)
        try:
            return xla.choose(keras.models.load_model(path, compile=False, safe_mode=True))
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"{path}: not a model that can be loaded, {reason}") from error


def _read_facts(path: Path) -> dict[str, Any]:
    """Read `run.json`, and check what the properties of a run rely on."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON, {error}") from None
    if not isinstance(facts, dict):
        raise ValueError(f"{path}: expected an object, received {type(facts).__name__}")
    required = (*_REQUIRED, *(("limit",) if facts.get("task") == "stripping" else ()))
    missing = [name for name in required if name not in facts]
    if missing:
        raise ValueError(f"{path}: lacks {missing}; is it of a newer version?")
    shape, spacing = facts["shape"], facts["spacing"]
    ndim = len(shape) if isinstance(shape, list) else 0
    for name, valid, expected in (
        ("task", isinstance(facts["task"], str), "a name"),
        ("shape", ndim in (2, 3) and _numbers(shape, int, 1), "two or three whole numbers"),
        ("spacing", _numbers(spacing, int | float, 1e-6) and len(spacing) == ndim, "mm per axis"),
        ("multiple", _numbers([facts["multiple"]], int, 1), "a whole number of at least 1"),
        ("output_labels", _numbers(facts["output_labels"], int, 0), "whole numbers"),
        ("limit", _numbers([facts.get("limit", 1)], int | float, 1e-6), "mm"),
    ):
        if not valid:
            raise ValueError(f"{path}: expected `{name}` as {expected}. Received: {facts[name]!r}")
    return facts


def _numbers(values: object, kind: Any, lowest: float) -> bool:
    """Whether it is a list of numbers of a kind in [lowest, 2^31)."""
    return isinstance(values, list) and all(
        isinstance(value, kind) and not isinstance(value, bool) and lowest <= value < 2**31
        for value in values
    )
