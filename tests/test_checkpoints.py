"""Checkpoints read without torch, and what is refused before anything starts because of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from dreamlab.architecture.cost import parameter_count
from dreamlab.architecture.network import network_of
from dreamlab.checks import Known, check
from dreamlab.service import Refused, Service
from dreamlab.settings import SpecError, SynthesizeSpec, TrainSpec, make
from dreamlab.store import Run, checkpoints
from dreamlab.store.events import EventWriter

TINY = {"dataset": "digits", "preset": "tiny", "steps": 5}


def write(path: Path, numbers: int, **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        save(
            {"a": np.zeros(numbers - 2, np.float32), "b": np.zeros((2, 1), np.float32)},
            metadata or None,
        )
    )
    return path


def finished(service: Service, numbers: int = 0, **values: object) -> Run:
    """A train run that looks done, with a checkpoint of so many numbers (0: of the right
    number)."""
    spec = make(TrainSpec, {**TINY, **values})
    run = service.get(service.submit(spec, fresh=True).run)
    write(
        checkpoints.path_of(run.path),
        numbers or parameter_count(network_of(spec)),
        format=checkpoints.FORMAT,
    )
    events = EventWriter(run.path / "events.jsonl", 1)
    events.write("state", state="done")
    return run


@pytest.fixture
def service(tmp_path: Path) -> Service:
    made = Service(tmp_path / "runs")
    made.store.prepare()
    return made


def test_a_header_says_what_the_file_holds(tmp_path: Path) -> None:
    header = checkpoints.read_header(
        write(tmp_path / "r" / "checkpoints" / "ema.safetensors", 12, format="x")
    )
    assert header.numbers == 12 and header.metadata == {"format": "x"}


@pytest.mark.parametrize("keep", [0, 5, 9, 60, -1])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "r" / "checkpoints" / "ema.safetensors", 40)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        checkpoints.CheckpointError, match=r"r/checkpoints/ema\.safetensors is (damaged|cut off)"
    ):
        checkpoints.read_header(path)


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04" * 40, b"\x10\0\0\0\0\0\0\0[1, 2, 3, 4, 5] ", b"\x02\0\0\0\0\0\0\0{}junk"],
)
def test_a_foreign_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r" / "checkpoints" / "ema.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(checkpoints.CheckpointError, match="damaged|cut off"):
        checkpoints.read_header(path)


def test_kept_checkpoints_are_listed_newest_first(tmp_path: Path) -> None:
    for name in ("step-000100", "step-1000000", "step-000900", "ema", "state", "step-x"):
        write(tmp_path / "checkpoints" / f"{name}.safetensors", 4)
    assert checkpoints.kept(tmp_path) == ["step-1000000", "step-000900", "step-000100"]
    assert checkpoints.kept(tmp_path / "nowhere") == []


def refusal(service: Service, kind: str, **values: object) -> Refused:
    before = service.store.ids()
    with pytest.raises(Refused) as caught:
        service.submit(service.check(kind, values))
    assert service.store.ids() == before, "nothing was started"
    return caught.value


def test_a_generator_whose_file_is_cut_off_foreign_or_of_another_network_is_refused(
    service: Service,
) -> None:
    good, wrong, cut = finished(service), finished(service, numbers=1000), finished(service)
    path = checkpoints.path_of(cut.path)
    path.write_bytes(path.read_bytes()[:-7])
    foreign = finished(service)
    write(checkpoints.path_of(foreign.path), 50, format="pt")
    service.check("synthesize", {"source": good.id})
    for run, words in (
        (wrong, "1,000 numbers"),
        (cut, "cut off"),
        (foreign, "not a generator of DreamLab"),
    ):
        for kind, field in (("synthesize", "source"), ("train", "init_from")):
            values = {"source": run.id} if kind == "synthesize" else {"init_from": run.id}
            refused = refusal(service, kind, **values)
            assert words in str(refused) and run.id in str(refused) and refused.field == field


def test_a_kept_checkpoint_that_is_not_there_is_refused_with_those_that_are(
    service: Service,
) -> None:
    run = finished(service)
    count = parameter_count(network_of(make(TrainSpec, TINY)))
    write(checkpoints.path_of(run.path, "step-000002"), count, format=checkpoints.FORMAT)
    service.check("synthesize", {"source": run.id, "checkpoint": "step-000002"})
    refused = refusal(service, "synthesize", source=run.id, checkpoint="step-000003")
    assert (
        refused.field == "checkpoint"
        and "step-000003" in str(refused)
        and "step-000002" in str(refused)
    )
    assert service.checkpoints(run.id) == ["step-000002"]


def test_guides_stages_and_sources_of_another_kind_are_refused(service: Service) -> None:
    run, other = finished(service), finished(service, schedule="linear")
    stage = finished(service, image_size=16, low_size=8)
    flat = finished(service, conditional=False)
    service.check("synthesize", {"source": run.id, "upsample": stage.id, "guide": run.id})
    assert refusal(service, "synthesize", source=run.id, guide=other.id).field == "guide"
    assert refusal(service, "synthesize", source=run.id, upsample=other.id).field == "upsample"
    assert refusal(service, "synthesize", source=stage.id).field == "source"
    assert refusal(service, "synthesize", source=flat.id).field == "guidance_weight"
    assert refusal(service, "mix", dataset="digits", sources=flat.id).field == "sources"
    assert refusal(service, "sweep", source=flat.id).field == "axis"
    assert refusal(service, "train", init_from=run.id, base_width=64).field == "base_width"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("source", r"Generator \(--from\)"),
        ("guide", r"Autoguidance by \(--guide\)"),
        ("upsample", r"Then upsample by \(--upsample\)"),
        ("init_from", r"Fine-tune \(--init-from\)"),
    ],
)
def test_what_is_no_generator_is_refused_by_the_name_of_its_field(
    service: Service, field: str, words: str
) -> None:
    run = finished(service)
    made = service.get(service.submit(make(SynthesizeSpec, {"source": run.id})).run)
    with pytest.raises(
        SpecError, match=f"{words}: {made.id} is a synthesize run; a train run is needed"
    ) as refused:
        if field == "init_from":
            check(make(TrainSpec, {**TINY, field: made.id}), Known(service.store))
        else:
            check(make(SynthesizeSpec, {"source": run.id, field: made.id}), Known(service.store))
    assert refused.value.field == field


def test_a_guide_that_names_its_size_and_one_that_leaves_it_to_the_data_are_the_same(
    service: Service,
) -> None:
    run, written = finished(service), finished(service, image_size=8)
    service.check("synthesize", {"source": run.id, "guide": written.id})


def test_a_training_on_a_cpu_has_at_most_a_process_a_core(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dreamlab.checks.machine.cores", lambda: 2)
    service.check("train", {**TINY, "device": "cpu", "devices": 2})
    refused = refusal(service, "train", device="cpu", devices=3)
    assert (
        refused.field == "devices"
        and "3 cannot be used, this machine has 2 CPU cores; use at most 2." in str(refused)
    )


def test_fine_tuning_takes_over_the_network_of_its_source(service: Service) -> None:
    run = finished(service, num_train_timesteps=300, schedule="linear_scaled")
    spec = service.check("train", {"init_from": run.id, "dataset": "mnist5k"})
    assert isinstance(spec, TrainSpec)
    assert (spec.base_width, spec.num_train_timesteps, spec.schedule) == (16, 300, "linear_scaled")


def test_only_a_running_training_can_be_asked(service: Service) -> None:
    run = finished(service)
    with pytest.raises(Refused, match="done train run; only a running training"):
        service.ask(run.id, "preview")
    assert not (run.path / "preview").exists()
