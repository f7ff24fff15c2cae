"""The demonstration: from nothing to a trained and tested segmentation network in minutes.

It needs no data. Whole-head phantoms stand for label maps, in training and, rendered in
contrasts that the network has never seen, in the test. All the rest is what a user does with
label maps of real anatomy, through the same functions and commands.
"""

from synthtf.demo.settings import DemoSettings
from synthtf.demo.walkthrough import run_demo

__all__ = ["DemoSettings", "run_demo"]
