"""A training run: the task network and all that is needed to use it, on disk or in memory."""

import functools
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.data.label_table import LabelTable
from synthtf.data.own_files import refuse_foreign_folder
from synthtf.data.shipped_models import CHECKSUMS, check_files, find_model, write_checksums
from synthtf.data.volume_shares import SHARES
from synthtf.data.whole_files import write_whole, written_aside
from synthtf.version import __version__

if TYPE_CHECKING:
    import keras

MODEL, RECIPE, TABLE, FACTS = "model.keras", "recipe.json", "labels.tsv", "run.json"
_TEXTS = (RECIPE, TABLE, FACTS)
_REQUIRED = ("task", "shape", "spacing", "multiple", "output_labels")


class Run:
    """A trained network and what is known of it.

    Args:
        folder: holds `model.keras`, `recipe.json`, `labels.tsv` and `run.json`, next to the log,
            figures and checkpoints. None: the run is in memory.
        table: labels that the run was trained on and the output labels that they count as.
        recipe: of the synthesis. None: that of the folder, read when it is first used.
        metadata: what `run.json` holds: task and its options, shape, spacing (mm), version,
            training.
        network: the task network. None: that of the folder, read when it is first used.
    """

    def __init__(
        self,
        folder: Path | None,
        table: LabelTable,
        recipe: Any,
        metadata: dict[str, Any],
        network: "keras.Model | None" = None,
    ) -> None:
        self.folder = folder
        self.table = table
        self.metadata = metadata
        # They stand in the place of the properties of these names, which read them.
        self.__dict__.update({} if recipe is None else {"recipe": recipe})
        self.__dict__.update({} if network is None else {"task_model": network})

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike,
        table: LabelTable,
        recipe: Any,
        metadata: Mapping[str, Any],
    ) -> "Run":
        """Make the folder and write all but the model.

        Args:
            folder: made if it does not exist.
            table: label table.
            recipe: of the synthesis.
            metadata: with at least "task", "shape", "spacing", "multiple" and "output_labels".

        Raises:
            ValueError: if the folder holds files of these names that are of no run.
        """
        refuse_foreign_folder(folder, FACTS, (TABLE, RECIPE, MODEL))
        run = cls(Path(folder), table, recipe, {"synthtf": __version__, **metadata})
        run.folder.mkdir(parents=True, exist_ok=True)
        run.update()  # first: it says that the other files are synthtf's
        run._unseal()
        table.write(run.folder / TABLE)
        recipe.save(run.folder / RECIPE)
        write_checksums(run.folder, (MODEL, *_TEXTS))
        return run

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Run":
        """Read a run; its recipe and its network load when they are first used.

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
        return cls(folder, LabelTable.read(folder / TABLE), None, metadata)

    @classmethod
    def from_texts(cls, texts: Mapping[str, str], network: "keras.Model") -> "Run":
        """Make a run in memory from what `to_texts` gave."""
        with tempfile.TemporaryDirectory() as folder:
            for name in _TEXTS:
                (Path(folder) / name).write_text(texts[name], encoding="utf-8")
            run = cls.load(folder)
            return cls(None, run.table, run.recipe, run.metadata, network)

    def to_texts(self) -> dict[str, str]:
        """Give the files of the run but for the network: name to text."""
        with tempfile.TemporaryDirectory() as folder:
            Run.create(folder, self.table, self.recipe, self.metadata)
            return {name: (Path(folder) / name).read_text(encoding="utf-8") for name in _TEXTS}

    def save(self, folder: str | os.PathLike) -> "Run":
        """Write the run, in float32, in which its network can be used on any machine.

        Args:
            folder: made if it does not exist.

        Returns:
            The run in the folder.
        """
        from synthtf.runs.precision import in_float32

        saved = Run.create(folder, self.table, self.recipe, self.metadata)
        saved.save_model(self.task_model, in_float32(self.task_model))
        return saved

    def update(self, **facts: Any) -> None:
        """Add facts to the metadata and write them, in one piece; then all checksums."""
        self.metadata.update(facts)
        self._unseal()
        write_whole(self.folder / FACTS, (json.dumps(self.metadata, indent=2) + "\n").encode())
        write_checksums(self.folder, (MODEL, *_TEXTS))

    def _unseal(self) -> None:
        """Delete the checksums, so that a run is never refused for being killed in between."""
        (self.folder / CHECKSUMS).unlink(missing_ok=True)

    def save_model(self, network: "keras.Model", copy: "keras.Model | None" = None) -> None:
        """Write the task network, in one piece; then all checksums.

        Args:
            network: its weights are written.
            copy: a network of the same layers, which gets the weights and is written instead.
        """
        if copy is not None and copy is not network:
            copy.set_weights(network.get_weights())
            network = copy
        from synthtf.runs.model_file import write_network

        with written_aside(self.folder / MODEL) as aside:
            write_network(network, aside)
            self._unseal()
        write_checksums(self.folder, (MODEL, *_TEXTS))

    @property
    def name(self) -> str:
        """The folder, or what the run is called in messages."""
        return "a model in memory" if self.folder is None else str(self.folder)

    @property
    def task(self) -> str:
        """What the network does, as `synthtf train` names it."""
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
    def volume_shares(self) -> dict[int, tuple[float, float]]:
        """Output label to its smallest and largest share of the brain in the training maps.

        Raises:
            ValueError: if they are no shares.
        """
        shares = self.metadata.get(SHARES) or {}
        try:
            return {int(label): (float(low), float(high)) for label, (low, high) in shares.items()}
        except (AttributeError, TypeError, ValueError):
            raise ValueError(
                f"{self.name}: expected `{SHARES}` as two numbers per label. Received: {shares!r}"
            ) from None

    @property
    def output_pairs(self) -> tuple[tuple[int, int], ...]:
        """Left and right output labels that belong together."""
        return self.table.output_pairs

    def positive(self, name: str) -> float:
        """Give an option of the task that is a number above 0.

        Raises:
            ValueError: if the run has no such option, or it is no such number.
        """
        value = self.metadata.get(name)
        if not _numbers([value], int | float, 1e-6):
            raise ValueError(
                f"{self.name}: expected the option `{name}` of its task as a number above 0. "
                f"Received: {name}={value!r}"
            )
        return float(value)

    @functools.cached_property
    def recipe(self) -> Any:
        """The recipe of the synthesis.

        Raises:
            ValueError: if the file does not hold a recipe.
        """
        from synthtf.synthesis import Recipe

        return Recipe.load(self.folder / RECIPE)

    @functools.cached_property
    def task_model(self) -> "keras.Model":
        """The task network.

        Raises:
            FileNotFoundError: if the run has not saved one yet.
            ValueError: if the file is not a Keras model that is safe to load.
        """
        from synthtf import xla
        from synthtf.runs.model_file import read_network

        path = self.folder / MODEL
        if not path.is_file():
            raise FileNotFoundError(f"{path}: not found; has the training finished an epoch?")
        return xla.choose(read_network(path))


def as_run(model: Any) -> Run:
    """Give the run of a trained model.

    Args:
        model: a `Run`, its folder, the name of a model that comes with the package, or a model
            of `synthtf.tasks` that `fit` trained.

    Raises:
        ValueError: if it is none of these.
        FileNotFoundError: if a file of the run is missing.
    """
    if isinstance(model, str | os.PathLike):
        return Run.load(model)
    run = getattr(model, "run", model)
    if hasattr(run, "task"):
        return run
    raise ValueError(
        "`model` must be a training run, its folder, the name of a model of the package, or a "
        "model of `synthtf.tasks`: a network alone does not tell its voxel size and labels. "
        f"Received: model={model!r}"
    )


def _read_facts(path: Path) -> dict[str, Any]:
    """Read `run.json`, and check what the properties of a run rely on."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON, {error}") from None
    if not isinstance(facts, dict):
        raise ValueError(f"{path}: expected an object, received {type(facts).__name__}")
    missing = [name for name in _REQUIRED if name not in facts]
    if missing:
        raise ValueError(
            f"{path}: lacks {missing}; it was written by synthtf {facts.get('synthtf')}, and this "
            f"is synthtf {__version__}"
        )
    shape, spacing = facts["shape"], facts["spacing"]
    ndim = len(shape) if isinstance(shape, list) else 0
    for name, valid, expected in (
        ("task", isinstance(facts["task"], str), "a name"),
        ("shape", ndim in (2, 3) and _numbers(shape, int, 1), "two or three whole numbers"),
        ("spacing", _numbers(spacing, int | float, 1e-6) and len(spacing) == ndim, "mm per axis"),
        ("multiple", _numbers([facts["multiple"]], int, 1), "a whole number of at least 1"),
        ("output_labels", _numbers(facts["output_labels"], int, 0), "whole numbers"),
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
