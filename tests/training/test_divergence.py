"""A run that diverges is a result: it completes, with the step and the first site to go."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from normexp.records.folder import RunFolder
from normexp.sweep.worker import execute
from normexp.variants.post_ln import PostLN
from tests.support.configs import with_values
from tests.support.runs import tiny_config


class Blowing(PostLN):
    """x ← LN(x + c·F(x)): c is 1 until, from step 13 on, one site's branch no longer fits into a float."""

    def __init__(self, *shape_and_norm, place="decoder.02.cross_attention"):
        super().__init__(*shape_and_norm)
        self.place = place
        self.register_buffer("factor", torch.ones(()))

    def on_step_begin(self, step):
        self.factor.fill_(1e38 if step >= 13 else 1)

    def join(self, x, site):
        factor = self.factor**2 if site.name == self.place else 1
        return site.norm(x + factor * site.branch(x))


class Backward(PostLN):
    """x ← LN(x + F(g(x))): g is the identity forwards and not finite backwards, at one site, from step 13 on."""

    def on_step_begin(self, step):
        self.step = step

    def join(self, x, site):
        branch = site.branch(x)
        if site.name == "encoder.02.attention" and self.step >= 13:
            branch = NotFiniteBackwards.apply(branch)
        return site.norm(x + branch)


class Broken(PostLN):
    """x ← LN(∞·F(x))"""

    def join(self, x, site):
        return site.norm(torch.inf * site.branch(x))


class NotFiniteBackwards(torch.autograd.Function):
    @staticmethod
    def forward(_, x):
        return x.clone()

    @staticmethod
    def backward(_, gradient):
        return gradient * torch.inf


def run(path: Path, *overrides: str, variant: dict | None = None) -> RunFolder:
    folder, config = RunFolder(path), tiny_config("depth=2", "steps=40", "record.flush_every=10", *overrides)
    folder.create(with_values(config, variant=variant) if variant else config)
    execute(path)
    return folder


def losses(folder: RunFolder) -> dict[int, float]:
    rows = pq.read_table(folder.path / "curves.parquet").to_pylist()
    return {row["step"]: row["value"] for row in rows if row["statistic"] == "nll"}


def node(cls: type, **options) -> dict:
    return {"name": cls.__name__.lower(), "_target_": f"{cls.__module__}.{cls.__name__}", **options}


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint_every", [5, 12, 100])
@pytest.mark.parametrize("place", ["encoder.01.attention", "decoder.02.cross_attention", "decoder.02.feed_forward"])
def test_the_step_and_the_first_site_to_go_are_recorded(place, checkpoint_every, tmp_path):
    """With and without a checkpoint to replay from; the loss that is not finite is kept, and nothing after it."""
    variant = node(Blowing, place=place)
    folder = run(tmp_path / "run", f"record.checkpoint_every={checkpoint_every}", variant=variant)
    status = folder.status
    assert status["state"] == "completed", status["error"]
    assert (status["outcome"], status["diverged_at"], status["first_to_go"]) == ("diverged", 13, place)
    recorded = losses(folder)
    assert list(recorded) == list(range(1, 14))
    assert [step for step, loss in recorded.items() if not torch.tensor(loss).isfinite()] == [13]
    assert pq.read_table(folder.path / "layers.parquet")["step"].to_pylist()[-1] == 10


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint_every", [5, 13, 100])
def test_a_nonfinite_gradient_is_traced_to_its_site(checkpoint_every, tmp_path):
    """The loss shows it one step later, when the update has broken the weights of other sites too.

    A checkpoint at step 13 holds the broken weights, so the replay must start before it.
    """
    folder = run(tmp_path / "run", f"record.checkpoint_every={checkpoint_every}", variant=node(Backward))
    assert folder.status["state"] == "completed", folder.status["error"]
    assert folder.status["outcome"] == "diverged"
    assert folder.status["diverged_at"] == 14  # the loss that the broken weights give
    assert folder.status["first_to_go"] == "encoder.02.attention"


@pytest.mark.slow
def test_a_nonfinite_gradient_in_the_last_step_diverges(tmp_path):
    """No training loss follows that could show it."""
    folder = run(tmp_path / "run", "steps=13", variant=node(Backward))
    status = folder.status
    assert (status["outcome"], status["diverged_at"]) == ("diverged", 13)
    assert status["first_to_go"] == "encoder.02.attention"


@pytest.mark.slow
def test_a_huge_learning_rate_diverges_and_completes(tmp_path):
    """Divergence is a result: the run is complete and is not started again."""
    folder = run(tmp_path / "run", "lr=1e9", "warmup=0", "optimizer=sgd", "variant=plain")
    assert folder.status["state"] == "completed", folder.status["error"]
    assert folder.status["outcome"] == "diverged"
    assert folder.status["diverged_at"] == 2
    assert folder.status["first_to_go"] == "encoder.02.attention"
    assert folder.finished


@pytest.mark.slow
def test_a_loss_that_ends_above_its_first_has_diverged(tmp_path):
    """All losses are finite, so there is neither a step nor a site to name."""
    folder = run(tmp_path / "run", "lr=3", "warmup=0", "optimizer=adam", "schedule=constant")
    assert all(torch.tensor(loss).isfinite() for loss in losses(folder).values())
    status = folder.status
    assert (status["outcome"], status["diverged_at"], status["first_to_go"]) == ("diverged", None, None)


def test_an_untrained_model_whose_loss_is_not_finite_keeps_what_was_measured(tmp_path):
    folder = run(tmp_path / "run", "steps=0", variant=node(Broken))
    status = folder.status
    assert (status["state"], status["diverged_at"]) == ("completed", 1)
    assert status["first_to_go"]
    assert (folder.path / "layers.parquet").exists()
