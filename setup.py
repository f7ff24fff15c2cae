"""Entry point of legacy installers; the metadata is in setup.cfg."""

from setuptools import setup

setup()
