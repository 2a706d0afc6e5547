"""DINOv2 and CLIP through Hugging Face transformers, from a folder of the user: `config.json`,
`model.safetensors` and, if it is there, `preprocessor_config.json`.

Nothing else is read, nothing is downloaded, and of the configuration only sizes and the like are
used, so that no code of a folder can run.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dreamlab.fidelity.extractors import ExtractorError, NetworkExtractor, batch_for, weights_id

MEAN_STD = {
    "dinov2": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
"""Mean and standard deviation of red, green and blue, 0 to 1, where a folder does not say them."""
FIELDS = """hidden_size num_hidden_layers num_attention_heads mlp_ratio hidden_act layer_norm_eps
image_size patch_size num_channels qkv_bias layerscale_value use_swiglu_ffn intermediate_size
projection_dim""".split()
"""What is taken from a configuration."""
DINO_SIDE = 224
"""Side of the images of DINOv2, in pixels, where a folder does not say it (Stein et al. 2023). The
configuration has that of the last part of its training, 518."""
OPTIONAL = ("mask_token", "position_ids")
"""Ends of the names of weights that features do not depend on."""


class _Pretrained(NetworkExtractor):
    """What both networks share: reading the folder, and how images are prepared.

    Images are resized to squares without cropping, bicubic with antialiasing, cut to 0 to 255, and
    normalised with the mean and deviation of the folder; grey ones are repeated in three channels.
    Raises ExtractorError if the folder lacks a file, or if the weights do not fit it.
    """

    name: str
    version = 1

    def __init__(self, folder: str, device: str, batch_size: int = 0):
        path = Path(folder).expanduser()
        self.device, self.batch_size = device, batch_size or batch_for(device, 16, 256)
        config = _json(path / "config.json")
        try:
            state = load_file(path / "model.safetensors")
        except (OSError, SafetensorError) as error:
            raise ExtractorError(
                f"{path / 'model.safetensors'} cannot be read ({str(error)[:100]}); fetch it anew."
            ) from None
        self.id = weights_id({k: v.float().numpy() for k, v in state.items()})
        about = _json(path / "preprocessor_config.json", needed=False)
        self.side = self._side(config, about)
        self.resize = f"bicubic to {self.side}x{self.side}"
        found = (
            about.get(name, standard)
            for name, standard in zip(("image_mean", "image_std"), MEAN_STD[self.name], strict=True)
        )
        self.mean, self.std = (255 * torch.tensor(v, device=device).view(3, 1, 1) for v in found)
        self.network = self._made(path, config, state).eval().to(device)
        self.dimensions = int(
            self.features(torch.zeros(1, 3, 8, 8, dtype=torch.uint8, device=device)).shape[1]
        )

    def features(self, images: Tensor) -> Tensor:
        """Features (n, dimensions) float32 of uint8 images (n, C, H, W), C 1 or 3."""
        x = images.to(torch.float32)
        size = (self.side, self.side)
        if tuple(x.shape[2:]) != size:
            x = F.interpolate(x, size, mode="bicubic", antialias=True).clamp_(0, 255)
        with torch.inference_mode():
            return self._of(((x - self.mean) / self.std).contiguous())

    def _made(self, path: Path, config: Mapping[str, Any], state: dict[str, Tensor]) -> nn.Module:
        make, kind = self._classes()
        said = {k: v for k, v in config.items() if k in FIELDS}
        try:
            network, about = make.from_pretrained(
                None,
                config=kind(**said),
                state_dict=state,
                attn_implementation="sdpa",
                output_loading_info=True,
                dtype=torch.float32,
            )
        except Exception as error:  # transformers raises several types for what does not fit
            raise ExtractorError(
                f"{path} cannot be loaded as {self.name}: its config.json does not fit its weights"
                f" ({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})."
            ) from None
        missing = [k for k in about["missing_keys"] if not k.endswith(OPTIONAL)]
        if wrong := [*about["mismatched_keys"], *missing]:
            raise ExtractorError(
                f"{path}: config.json does not fit model.safetensors, for example"
                f" {wrong[0] if isinstance(wrong[0], str) else wrong[0][0]}; both must come from"
                " the same model."
            )
        made: nn.Module = network
        return made

    @abc.abstractmethod
    def _classes(self) -> tuple[Any, Any]:
        """Its model and its configuration in transformers."""

    @abc.abstractmethod
    def _side(self, config: Mapping[str, Any], about: Mapping[str, Any]) -> int:
        """The side of the images that the network reads, in pixels."""

    @abc.abstractmethod
    def _of(self, x: Tensor) -> Tensor:
        """Features (n, dimensions) of normalised images (n, 3, side, side)."""


class Dinov2Extractor(_Pretrained):
    """The class token of DINOv2 (Oquab et al. 2023) after the last layer norm, as in Stein et al.
    2023, "Exposing flaws". Its Frechet distance is `fd_dinov2`; papers give that of
    facebook/dinov2-large."""

    name = "dinov2"

    def _classes(self) -> tuple[Any, Any]:
        from transformers import Dinov2Config, Dinov2Model

        return Dinov2Model, Dinov2Config

    def _side(self, config: Mapping[str, Any], about: Mapping[str, Any]) -> int:
        crop = about.get("crop_size")
        return int(crop["height"] if isinstance(crop, dict) else crop or DINO_SIDE)

    def _of(self, x: Tensor) -> Tensor:
        found: Tensor = self.network(pixel_values=x).last_hidden_state[:, 0]
        return found.float()


class ClipExtractor(_Pretrained):
    """The projected image embedding of CLIP (Radford et al. 2021), not normalised, as in
    Kynkaanniemi et al. 2023. CMMD (Jayasumana et al. 2024) divides it by its length and uses
    another kernel, so `fd_clip` and `kid_clip` are not CMMD."""

    name = "clip"

    def _classes(self) -> tuple[Any, Any]:
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        return CLIPVisionModelWithProjection, CLIPVisionConfig

    def _side(self, config: Mapping[str, Any], about: Mapping[str, Any]) -> int:
        return int(vision(config)["image_size"])

    def _made(self, path: Path, config: Mapping[str, Any], state: dict[str, Tensor]) -> nn.Module:
        seen = {k: v for k, v in state.items() if k.startswith(("vision_model.", "visual_proj"))}
        return super()._made(path, vision(config), seen)

    def _of(self, x: Tensor) -> Tensor:
        found: Tensor = self.network(pixel_values=x).image_embeds
        return found.float()


def vision(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the image part of CLIP, of a folder that holds all of CLIP or this part
    alone. What older files leave out has the values of CLIP's first version."""
    own = config.get("vision_config")
    inner = own if isinstance(own, dict) else {}
    shared = {k: config[k] for k in ("projection_dim",) if k in config}
    return {"image_size": 224, **(inner if isinstance(own, dict) else config), **shared}


def _json(path: Path, needed: bool = True) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        found = None if needed else {}
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise ExtractorError(f"{path} is missing or is not a JSON object; fetch it anew.")
    return found
