"""DreamLab: does synthetic data from a diffusion model help my classifier, by how much, and at
which mix?"""

__version__ = "0.1.0"
