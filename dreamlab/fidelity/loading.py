"""The extractors whose weights are files of the user."""

from __future__ import annotations

from collections.abc import Callable

from dreamlab.fidelity.extractors import Extractor, ExtractorError
from dreamlab.fidelity.inception import InceptionExtractor
from dreamlab.fidelity.pretrained import ClipExtractor, Dinov2Extractor
from dreamlab.settings.names import ExtractorName

FROM_FILES: dict[str, Callable[[str, str], Extractor]] = {
    "inception": InceptionExtractor,
    "dinov2": Dinov2Extractor,
    "clip": ClipExtractor,
}
"""Name -> function of (file or folder, device)."""


def load(name: ExtractorName, path: str, device: str) -> Extractor:
    """The extractor of this name with the weights in `path`. Raises ExtractorError if they cannot
    be used, or if a package is missing."""
    try:
        return FROM_FILES[name](path, device)
    except ImportError as error:
        raise ExtractorError(
            f"The extractor {name} needs the package {error.name or 'transformers'}: run `pip"
            " install 'dreamlab[features]'`."
        ) from None
