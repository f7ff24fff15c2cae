import pytest


def _empty_sheet(synthesis, maps, path, maps_per_sample):
    path.write_bytes(b"")


@pytest.fixture(scope="module")
def quick_training():
    """Trainings of few steps, which are not worth a graph each, nor a figure of their samples."""
    from synthtf.training.combined import CombinedModel

    compile_ = CombinedModel.compile

    def eagerly(self, *args, **kwargs):
        compile_(self, *args, **kwargs)
        self.run_eagerly = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CombinedModel, "compile", eagerly)
        patch.setattr("synthtf.training.loop.sample_sheet", _empty_sheet)
        patch.setattr("synthtf.training.loop.draw_curve", lambda folder: None)
        yield
