"""What setup.cfg cannot say: the trained networks in models/ are a part of the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["synthtf*"]), "synthtf.models"],
    package_dir={"synthtf.models": "models"},
    package_data={
        "synthtf.inference.page": ["static/*"],
        "synthtf.models": ["*.json", "*/*.keras", "*/*.json", "*/*.tsv", "*/*.md", "*/SHA256SUMS"],
    },
)
