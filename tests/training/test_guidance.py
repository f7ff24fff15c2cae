import pytest

from synthtf.layers import RandomAffine, RandomIntensity, RandomWarp
from synthtf.synthesis import Recipe
from synthtf.tasks import SegmentationTask
from synthtf.tasks.registry import tasks
from synthtf.training.guidance import advice, unsuited
from synthtf.training.plan import TrainingPlan


@pytest.mark.parametrize("name", list(tasks()))
def test_each_task_says_what_uses_it_what_it_is_not_for_and_what_is_advised(name):
    from synthtf.cli.main import COMMANDS

    task = tasks()[name]
    assert task.command in COMMANDS
    plan = TrainingPlan(task=task())
    for said, own in ((unsuited(plan), task.unsuited), (advice(plan), task.advice)):
        assert own and said[: len(own)] == list(own) and len(said) > len(own)
        for clause in said:
            assert clause[0].islower() and not clause.endswith(".")


def test_what_a_recipe_changes_at_random_cannot_be_learned():
    def said(*steps):
        plan = TrainingPlan(task=SegmentationTask(), recipe=Recipe(list(steps)))
        return unsuited(plan)[len(SegmentationTask.unsuited) :]

    warp, contrast = said(RandomAffine(), RandomWarp(name="bend"), RandomIntensity())
    assert "what `bend` changes" in warp and "age" in warp and "diagnosis" in warp
    assert "what `intensity` draws" in contrast and "contrast enhancement" in contrast
    (only,) = said(RandomAffine(), RandomIntensity())
    assert only == contrast
