"""Which prediction belongs to which reference."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from synthtf.batch import Outcome
from synthtf.data.paths import expand_inputs, path_kind, stem
from synthtf.messages import print_line

ALONE = "no file of the same name on the other side"
"""Why a file has no partner."""


def pair_files(
    predictions: str | os.PathLike, references: str | os.PathLike
) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Pair predictions with references.

    A file belongs to a file; two lists are paired line by line; a folder is matched by
    names without their endings, where `x_seg` and `x_mask`, as `synthtf segment` and
    `synthtf strip` call their outputs, match `x` as well.

    Args:
        predictions: a file, a folder, or a .txt list.
        references: the same kind.

    Returns:
        Pairs `(prediction, reference)`, and the files of either side without partner.

    Raises:
        FileNotFoundError: if a path is missing.
        ValueError: if one side is a file and the other is not, lists differ in
            length, or nothing matches.
    """
    found, wanted = expand_inputs(predictions), expand_inputs(references)
    kinds = [path_kind(path) for path in (predictions, references)]
    if "file" in kinds and kinds != ["file", "file"]:
        raise ValueError(
            "The inputs must be two files, two folders or two lists. "
            f"Received: the {kinds[0]} {predictions} and the {kinds[1]} {references}"
        )
    if kinds == ["file", "file"]:
        return [(found[0], wanted[0])], []
    if kinds == ["list", "list"]:
        if len(found) != len(wanted):
            raise ValueError(
                f"The lists must be of equal length. Received: {len(found)} lines in {predictions} "
                f"and {len(wanted)} in {references}"
            )
        return list(zip(found, wanted, strict=True)), []
    pairs, alone = match_names(found, wanted)
    if not pairs:
        raise ValueError(
            f"No file of {predictions} has the name of one of {references}, for instance "
            f"{found[0].name} and {wanted[0].name}: rename them, or give two .txt lists"
        )
    return pairs, alone


def match_names(
    predictions: Sequence[Path], references: Sequence[Path]
) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Match files by their names without endings, or without `_seg` or `_mask`.

    Args:
        predictions: files.
        references: files.

    Returns:
        Pairs in the order of the predictions, and the files that are left.

    Example:
        >>> pairs, left = match_names([Path("a_seg.mgz"), Path("b.nii")], [Path("a.nii.gz")])
        >>> [(found.name, reference.name) for found, reference in pairs], left[0].name
        ([('a_seg.mgz', 'a.nii.gz')], 'b.nii')
    """
    waiting = {stem(path): path for path in references}
    pairs, alone = [], []
    for path in predictions:
        name = stem(path)
        names = (name, name.removesuffix("_seg"), name.removesuffix("_mask"))
        match = next((n for n in names if n in waiting), None)
        if match is None:
            alone.append(path)
        else:
            pairs.append((path, waiting.pop(match)))
    matched = {reference for _, reference in pairs}
    return pairs, alone + [path for path in references if path not in matched]


def name_partnerless(command: str, alone: Sequence[Path], outcome: Outcome) -> Outcome:
    """Name files without a partner, and count them as failures.

    Args:
        command: subcommand, for the messages.
        alone: the files.
        outcome: what became of the pairs.
    """
    for path in alone:
        print_line(f"synthtf {command}: {path}: {ALONE}")
    more = tuple((str(path), ALONE) for path in alone)
    return replace(outcome, failures=outcome.failures + more)
