"""Producers: processes that synthesise samples into a buffer."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from synthtf.batch import Outcome
from synthtf.data.file_locks import locked
from synthtf.data.label_maps import LabelMaps
from synthtf.data.whole_files import write_whole
from synthtf.runs.run import RECIPE, TABLE
from synthtf.streams.buffer import Buffer
from synthtf.streams.options import ProducerOptions
from synthtf.synthesis import Recipe
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import load_table, make_maps, model_shape, table_of
from synthtf.version import __version__

FACTS = "stream.json"
"""File of a buffer that says what its samples are."""

_PAUSE = 0.2


def produce(
    maps: Sequence[Path] | str | None,
    folder: str | os.PathLike,
    plan: TrainingPlan,
    options: ProducerOptions,
) -> Outcome:
    """Synthesise samples into the folder of a buffer, and wait while it is full.

    Any number of processes may do so at once, also on several machines that share the folder. Each
    makes other samples: the number of a shard stands for those of its samples. What a killed
    process has begun, the next one makes again, from its keys to the same bits.

    Args:
        maps: files, or a folder or .txt list; None for a recipe that makes its own.
        folder: made if it does not exist; also gets the recipe, the label table and `stream.json`.
        plan: as for the training of one process; `batch_size` does not matter.
        options: how many samples, per shard and in all.

    Returns:
        How many samples were made.

    Raises:
        ValueError: if the folder holds other samples, or a file, range or shape does not fit.
        OSError: if a shard cannot be written.
    """
    data = make_maps(maps, load_table(plan.labels), plan)
    recipe = Recipe.of(plan.recipe)
    shape = model_shape(data, plan)
    table = recipe.table(table_of(data, load_table(plan.labels), recipe), shape, data.spacing)
    synthesis = plan.task.make(shape, table, data.spacing, recipe).synthesis
    facts = {
        "synthtf": __version__,
        "task": plan.task.name,
        "seed": data.seed,
        "shard_size": options.shard_size,
        "shape": list(shape),
        "spacing": list(data.spacing),
        "maps": list(data.names),
        "recipe": recipe.entries(),
    }
    folder = Path(folder)
    buffer = Buffer(folder, options.max_shards)
    with locked(folder / FACTS):
        _check_facts(folder / FACTS, facts)
        recipe.save(folder / RECIPE)
        table.write(folder / TABLE)
        write_whole(folder / FACTS, (json.dumps(facts, indent=2) + "\n").encode())
    done = 0
    with tqdm(total=options.num, unit="sample", disable=None) as bar:
        while options.num is None or done < options.num:
            shard = buffer.begin()
            if shard is None:
                time.sleep(_PAUSE)
                continue
            with shard:
                first = shard.number * options.shard_size
                numbers = range(first, first + options.shard_size)
                shard.commit(samples_of(synthesis, data, numbers, plan.task.maps_per_sample))
            done += options.shard_size
            bar.update(options.shard_size)
    return Outcome(done, text=f"{folder}: {done} samples made")


def samples_of(
    synthesis: keras.Model, maps: LabelMaps, numbers: Sequence[int], maps_per_sample: int = 1
) -> dict[str, np.ndarray]:
    """Synthesise samples, one after the other.

    Args:
        synthesis: model from label maps and keys to images and targets.
        maps: label maps.
        numbers: numbers of the samples, or of the pairs.
        maps_per_sample: label maps that make one sample.

    Returns:
        Each output of the model, and "number", the second integer of the key of each sample, that
        of the first of a pair.
    """
    found: dict[str, list[Any]] = {}
    starts = [number * maps_per_sample for number in numbers]
    for start in starts:
        singles = [maps.sample(start + i)[0] for i in range(maps_per_sample)]
        batch = {name: np.concatenate([one[name] for one in singles]) for name in singles[0]}
        for name, output in synthesis.predict_on_batch(batch).items():
            found.setdefault(name, []).append(np.asarray(output))
    return {
        **{name: np.concatenate(parts) for name, parts in found.items()},
        "number": np.array(starts, "int32"),
    }


def _check_facts(path: Path, facts: dict[str, Any]) -> None:
    """Refuse to add other samples than those of the producers before.

    Raises:
        ValueError: if the folder holds others.
    """
    if not path.is_file():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON, {error}; choose another folder") from None
    facts = json.loads(json.dumps(facts))
    for name, value in facts.items():
        if before.get(name) != value:
            raise ValueError(
                f"{path}: `{name}` must be that of the samples in the buffer, "
                f"{before.get(name)!r}, or choose another folder. Received: {name}={value!r}"
            )
