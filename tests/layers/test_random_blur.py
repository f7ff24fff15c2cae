from synthtf.layers import RandomBlur
from synthtf.testing import RandomLayerContract


class TestRandomBlur(RandomLayerContract):
    layer = RandomBlur
    arguments = {"std": (0.5, 1.5)}
    identity_arguments = {"std": 0}
    invalid = [
        ({"std": -1}, "`std` must lie in"),
        ({"std": (2, 1)}, "low <= high"),
        ({"std": "wide"}, "must be a number or"),
        ({"std": float("nan")}, "must be finite"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]
