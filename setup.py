"""Builds the package. `pyproject.toml` says what it is; this adds what that file cannot: `assets/`,
which lies beside the package in a checkout, becomes `dreamlab/assets` in a wheel."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["dreamlab*"]), "dreamlab.assets"],
    package_dir={"dreamlab.assets": "assets"},
)
