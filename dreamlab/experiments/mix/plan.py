"""The runs that a mix consists of: generators, synthetic sets, and one classifier run per arm and
control."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from dreamlab.data import mixing
from dreamlab.data.selection import arm_counts, real_part
from dreamlab.experiments.children import Child
from dreamlab.settings import ClassifierRecipe, MixSpec, RealData, SpecError, exact

OWN, ARM, ALL = "own", "arm", "all"
TRAINED_HERE = {
    OWN: "trained here on the same images",
    ARM: "trained here per arm",
    ALL: "trained here on all images",
}
"""Key -> name of the generators that a mix trains itself: on exactly its real images, on those of
each arm, or on the whole training split."""


@dataclasses.dataclass(frozen=True)
class MixArm:
    """One classifier run of a mix. If `treatment`, it is compared with the arm `real` for the
    verdict. Otherwise it is a control, a point of the learning curve, or the arm `real` itself."""

    role: str
    arm: str
    key: str
    """Source of its synthetic images: a key of TRAINED_HERE or the id of a run; empty if it has
    none."""
    treatment: bool
    data: dict[str, Any]
    """Changes to the mix's settings that select real images. With a generator per arm, an arm that
    replaces images has the share `replaced`: generator and classifiers then have the same ones."""


def keys(spec: MixSpec) -> list[str]:
    """The sources of synthetic images: first the generators that the mix trains, then finished
    generators and finished sets."""
    # an arm that replaces nothing has all real images of the mix, so its own generator is the one
    # trained on these images
    own = spec.train_own or (spec.train_arm and any(a.form != "replace" for a in arms(spec)))
    asked = [
        key for key, wanted in ((OWN, own), (ARM, spec.train_arm), (ALL, spec.train_all)) if wanted
    ]
    named = list(dict.fromkeys((*spec.sources, *spec.sets)))
    return asked + named or [OWN]


def arms(spec: MixSpec) -> list[mixing.Arm]:
    """The arms with synthetic images, in the order given. Raises SpecError if there is none."""
    found = [a for a in map(mixing.parse, dict.fromkeys(spec.arms)) if a.needs_set]
    if not found:
        raise SpecError(
            f"Arms (--arms): {', '.join(spec.arms)} has no synthetic images; name at least one arm"
            " that has some, to compare it with real images alone.",
            "arms",
        )
    return found


def controls(spec: MixSpec) -> list[str]:
    """The control arms without synthetic images: first those that are named among the arms, then
    those of the setting `controls`."""
    factor = max([a.amount for a in map(mixing.parse, spec.arms) if a.form == "add"], default=1.0)
    usual = {
        "augmented": [] if spec.augment else ["augmented"],
        "duplicated": [f"duplicated+{exact(factor)}x"],
        "noise": [f"noise+{exact(factor)}x"],
        "synthetic": [],
    }
    named = [a.name for a in map(mixing.parse, spec.arms) if not a.needs_set and a.form != "real"]
    return list(dict.fromkeys([*named, *(arm for name in spec.controls for arm in usual[name])]))


def cells(spec: MixSpec) -> list[MixArm]:
    """All arms of a mix; the first is `real`. Raises SpecError."""
    listed = arms(spec)
    found = [MixArm("arm:real", "real", "", False, {})]
    found += [MixArm(f"control:{arm}", arm, "", False, {}) for arm in controls(spec)]
    for key in keys(spec):
        found += [_cell(key, arm) for arm in listed if key != ARM or arm.form == "replace"]
        if "synthetic" in spec.controls and "synthetic" not in spec.arms and key != ARM:
            found.append(MixArm(f"arm:{key}:synthetic", "synthetic", key, False, {}))
    if spec.train_arm and not any(c.key == ARM for c in found):
        raise SpecError(
            "A generator per arm (--train-arm): no arm replaces real images, so all arms have the"
            " same real images; add an arm such as 50/50, or use --train-own.",
            "train_arm",
        )
    return found


def _cell(key: str, arm: mixing.Arm) -> MixArm:
    data = {"replaced": arm.amount} if key == ARM else {}
    return MixArm(f"arm:{key}:{arm.name}", arm.name, key, True, data)


def surface(spec: MixSpec) -> list[MixArm]:
    """The arms at other numbers of real images; empty without `real_sizes`. Raises SpecError if no
    arm adds synthetic images."""
    sizes = [n for n in dict.fromkeys(spec.real_sizes) if n != spec.images_per_class]
    adds = [a for a in map(mixing.parse, dict.fromkeys(spec.arms)) if a.form == "add"]
    if spec.real_sizes and not adds:
        raise SpecError(
            "Real sizes (--real-sizes): an exchange rate needs arms that add synthetic images; add"
            " one such as real+1x.",
            "arms",
        )
    found = []
    for n in sizes:
        found.append(MixArm(f"surface:{n}:real", "real", "", False, {"images_per_class": n}))
        for key in keys(spec):
            if key != ARM:
                found += [
                    MixArm(
                        f"surface:{n}:{key}:{a.name}", a.name, key, False, {"images_per_class": n}
                    )
                    for a in adds
                ]
    return found


def training(spec: MixSpec, key: str, cell: MixArm | None = None) -> dict[str, Any]:
    """Settings of the generator with this key that the mix trains. `cell` is its arm if there is
    one generator per arm."""
    changes: dict[str, Any] = cell.data if cell else {}
    if key == ALL:
        changes = {"images_per_class": 0, "long_tail": 0.0, "share": 1.0}
    return {
        **real_part(spec, **changes).model_dump(),
        "steps": spec.train_steps,
        **({} if spec.train_steps else {"seconds": spec.train_seconds}),
        "device": spec.device,
    }


def set_role(cell: MixArm) -> str:
    """The role of the synthetic set that an arm uses. If there is one generator per arm, there is
    also one set per arm."""
    return f"set:{cell.key}:{cell.arm}" if cell.key == ARM else f"set:{cell.key}"


def plan(spec: MixSpec) -> list[Child]:
    """The children of a mix. Their roles are `generator:<key>` for generators that the mix trains,
    `set:<key>`, `arm:real`, `control:<arm>`, `arm:<key>:<arm>` and `surface:<size>:...`. Raises
    SpecError."""
    listed = cells(spec) + surface(spec)
    needed = needed_images(spec)
    children: list[Child] = []
    for role, cell in {set_role(c): c for c in listed if c.key}.items():
        if cell.key in TRAINED_HERE:
            values = training(spec, cell.key, cell if cell.key == ARM else None)
            children.append(Child(role.replace("set", "generator", 1), "train", values))
    for role in needed:
        key = role.split(":")[1]
        if key in spec.sets and key not in spec.sources:
            continue
        source = f"@{role.replace('set', 'generator', 1)}" if key in TRAINED_HERE else key
        children.append(Child(role, "synthesize", _sampling(spec, source, needed[role])))
    for cell in listed:
        children.append(Child(cell.role, "classify", _classify_values(spec, cell)))
    return children


def needed_images(spec: MixSpec) -> dict[str, list[int]]:
    """Role of a synthetic set -> number of images of each class that is enough for all arms that
    use it. Raises SpecError if an arm is impossible with the real images."""
    needed: dict[str, list[int]] = {}
    for cell in cells(spec) + surface(spec):
        try:
            found = [c.synthetic for c in arm_counts(cell.arm, real_part(spec, **cell.data))]
        except ValueError as error:
            if isinstance(error, SpecError):
                raise
            raise SpecError(
                f"Arms (--arms): {error}; use more real images or leave that arm out.", "arms"
            ) from None
        if cell.key:
            role = set_role(cell)
            needed[role] = [max(pair) for pair in zip(needed.get(role, found), found, strict=True)]
    return needed


def _sampling(spec: MixSpec, source: str, needed: Sequence[int]) -> dict[str, Any]:
    classes = [c for c, n in enumerate(needed) if n]
    return {
        "source": source,
        "per_class": max(needed),
        "guidance_weight": spec.guidance_weight,
        "num_steps": spec.num_steps,
        "sampler": spec.sampler,
        "device": spec.device,
        **({"classes": tuple(classes)} if len(classes) < len(needed) else {}),
    }


def _classify_values(spec: MixSpec, cell: MixArm) -> dict[str, Any]:
    names = [*ClassifierRecipe.model_fields, *RealData.model_fields]
    values = {**{name: getattr(spec, name) for name in names}, **cell.data, "arm": cell.arm}
    if cell.key:
        values["synthetic"] = (
            cell.key
            if cell.key in spec.sets and cell.key not in spec.sources
            else f"@{set_role(cell)}"
        )
    else:  # the same classifier as of a mix with all images
        values["without_near_copies"] = False
    return values
