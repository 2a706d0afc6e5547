"""Whether a set can be measured: the weights of the extractor exist."""

from __future__ import annotations

from pathlib import Path

from dreamlab.checks.known import Known
from dreamlab.settings import FidelitySpec, SpecError


def check_fidelity(spec: FidelitySpec, known: Known) -> None:
    """Raises SpecError if the extractor is Inception-v3 and its weight file does not exist."""
    weights = spec.inception_weights
    if spec.extractor == "inception" and not (weights and Path(weights).expanduser().is_file()):
        raise SpecError(
            f"Inception weights (--inception-weights): {weights!r} is not a file; give the file"
            " weights-inception-2015-12-05-6726825d.pth that torch-fidelity and torchmetrics use.",
            "inception_weights",
        )
