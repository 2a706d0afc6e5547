"""Whether a classifier can be trained on an arm of real and synthetic images."""

from __future__ import annotations

from dreamlab.checks.known import Known
from dreamlab.checks.leaked_images import check_copies, check_overlap
from dreamlab.checks.one_class import check_classes
from dreamlab.checks.synthetic_set import check_set
from dreamlab.data import mixing
from dreamlab.data.selection import arm_counts
from dreamlab.settings import ClassifySpec, SpecError


def check_classify(spec: ClassifySpec, known: Known) -> None:
    """Raises SpecError if the arm is impossible with these real images, or if its synthetic set is
    missing, of other data, too small, or contains test images."""
    check_classes(spec.dataset, "dataset", "a classifier")
    check_overlap(spec)
    arm = mixing.parse(spec.arm)
    if arm.needs_set != bool(spec.synthetic):
        what = (
            "needs a synthetic set (--synthetic RUN)" if arm.needs_set else "needs no synthetic set"
        )
        raise SpecError(f"Arm (--arm): {spec.arm} {what}.", "synthetic")
    if spec.without_near_copies and not arm.needs_set:
        raise SpecError(
            f"Without near-copies (--without-near-copies): the arm {spec.arm} has no synthetic"
            " images that could be left out; use it with another arm.",
            "without_near_copies",
        )
    try:
        counts = arm_counts(spec.arm, spec)
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(
            f"Arm (--arm): {error}; use more real images or another arm.", "arm"
        ) from None
    if spec.synthetic:
        needed = [c.synthetic for c in counts]
        check_set(spec, known, spec.synthetic, needed, "synthetic")
        check_copies(spec, known, spec.synthetic, "synthetic")
