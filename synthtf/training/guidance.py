"""Where training on synthetic images suits, and what is advised, for a task and a recipe."""

from synthtf.layers import RandomAtrophy, RandomErosion, RandomWarp
from synthtf.synthesis import Recipe
from synthtf.training.plan import TrainingPlan

ADVICE = (
    "begin with wide ranges, and look at 20 samples (`synthtf synthesize`) before and after every "
    "change: they should go beyond what scanners do, and still show the borders to be learned",
    "keep some label maps and some real scans for choosing among networks; what is seen in "
    "training is no measure",
)
"""What is advised for all tasks."""

_WARPS = (
    "what {} changes in each sample while the target stays: age, sex or a diagnosis, and thickness "
    "or volume as a number of the person; a target that is measured behind it, such as "
    "KeepDistance, is right"
)
_CONTRAST = (
    "what {} draws at random: contrast enhancement, signal as a measure, and disease that shows in "
    "intensity alone and has no label"
)


def unsuited(plan: TrainingPlan) -> list[str]:
    """Say what a network cannot learn by a plan, a clause each, the task's own first."""
    found = list(plan.task.unsuited)
    steps = Recipe.of(plan.recipe).steps
    shapes = [s.name for s in steps if isinstance(s, RandomWarp | RandomAtrophy | RandomErosion)]
    images = [s.name for s in steps if "image" in s.gives and "image" not in s.takes]
    for text, names in ((_WARPS, shapes), (_CONTRAST, images)):
        if names:
            found.append(text.format(" and ".join(f"`{name}`" for name in names)))
    return found


def advice(plan: TrainingPlan) -> list[str]:
    """Say what is advised for a plan, a clause each, the task's own first."""
    return [*plan.task.advice, *ADVICE]
