"""Sides in the names of structures."""

import re

_OTHER = {"left": "right", "lh": "rh", "l": "r"}
_OTHER |= {right: left for left, right in _OTHER.items()}
# Left-Thalamus, ctx-lh-insula, wm_rh_insula, lh.unc, Cbm_Left_VI, "caudate (left)", RightCaudate
_WORD = re.compile(
    r"(?<![^\W_])(?i:left|right|lh|rh)(?![^\W_])"
    r"|^(?:[Ll]eft|[Rr]ight|lh|rh)(?=[A-Z])|(?<=[a-z0-9])(?:Left|Right)$"
)
# Where no word says it: Hippocampus_L, L_V1_ROI, R Caudate, SFG_L_7_1, "caudate (R)"
_LETTER = re.compile(
    r"^[LlRr](?=[-_.])|^[LR](?= )|(?<=[-_.])[LlRr]$|(?<=[ (\[])[LR](?=[)\]]?$)"
    r"|(?<=[-_.])[LR](?=[-_.])"
)
_GAPS = " -_.,"
_WHOLE = "hemisphere"  # what has no name but its side


def split_side(name: str) -> tuple[str, str, str]:
    """Take the side out of the name of a structure.

    Args:
        name: name such as "Left-Thalamus", "ctx-lh-insula" or "Hippocampus_L".

    Returns:
        "left", "right" or "none"; the name on the other side, or ""; the name without its side.

    Example:
        >>> split_side("Left-Thalamus")
        ('left', 'Right-Thalamus', 'Thalamus')
        >>> split_side("ctx_rh_insula")
        ('right', 'ctx_lh_insula', 'ctx_insula')
    """
    for pattern in (_WORD, _LETTER):
        found = list(pattern.finditer(name))
        sides = {"left" if match[0][0] in "lL" else "right" for match in found}
        if len(sides) == 1:
            other = pattern.sub(lambda match: _swapped(match[0]), name)
            return sides.pop(), other, _without(name, [match.span() for match in found])
        if sides:
            break
    return "none", "", name


def _swapped(word: str) -> str:
    """Name the other side in the same case: FreeSurfer has ctx-lh-unknown and ctx-lh-Unknown."""
    other = _OTHER[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


def _without(name: str, places: list[tuple[int, int]]) -> str:
    for start, stop in reversed(places):
        before, after = name[:start], name[stop:]
        if before[-1:] in ("(", "[") and after[:1] in (")", "]"):
            before, after = before[:-1], after[1:]
        if after[:1] and after[0] in _GAPS and (not before or before[-1] in _GAPS):
            after = after[1:]
        name = before + after
    return re.sub(" +", " ", name).strip(_GAPS) or _WHOLE
