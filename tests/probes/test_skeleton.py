"""The parts of a stream add up to it, and each is what the chain rule gives with the statistics of norms held fixed."""

from contextlib import contextmanager

import pytest
import torch

from normexp.config.compose import Composer
from normexp.model.buffers import unchanged_buffers
from normexp.norms import Norm, PowerNorm
from normexp.probes.skeleton import EMBEDDING, Skeleton
from tests.support import golden

# Their joins are not linear in stream and branch, so that there are no parts, and `dependency` is NaN.
NOT_LINEAR = {"deep_delta", "orthogonal_update"}
VARIANTS = [name for name in Composer("train").options("variant") if name not in NOT_LINEAR]
NORMS = ["rms_norm", "scale_norm", "ada_norm", "batch_norm", "instance_norm", "power_norm", "dyt", "none"]


def moved(trainer, by=0.05):
    """The same trainer, its parameters anywhere: gains are not 1, biases not 0, mixes depend on the stream."""
    generator = torch.Generator().manual_seed(1)
    for p in trainer.model.parameters():
        p.data += by * torch.randn(p.shape, generator=generator)
    return trainer


def moment_of(trainer):
    """With padding in the source."""
    return trainer.probe_context(next(batch for batch in trainer.data() if batch.source_mask is not None))


@contextmanager
def skeletons(context):
    context.trace  # noqa: B018  made before, under the step's own buffers
    with torch.no_grad(), unchanged_buffers(context.model):
        yield [Skeleton(stack, context.trace, context.mask_of(stack.shape.stack)) for stack in context.model.stacks]


def assert_the_parts_add_up(trainer):
    context = moment_of(trainer)
    with skeletons(context) as each:
        for skeleton in each:
            parts = [skeleton.rest(), *map(skeleton.part, skeleton.parts)]
            assert len(parts) == 2 + len(skeleton.stack.sites)
            for site in skeleton.stack.sites:
                stream = context.trace[f"{site.name}/stream"]
                total = sum(part[site.name] for part in parts)
                assert torch.linalg.vector_norm(total - stream) < 1e-5 * torch.linalg.vector_norm(stream)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_parts_add_up_to_the_stream(variant):
    trainer = golden.trainer_of(golden.tiny_run(variant, "translation"))
    assert_the_parts_add_up(trainer)
    assert_the_parts_add_up(moved(trainer))


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_with_the_rest_they_add_up_under_every_norm(norm):
    trainer = golden.trainer_of(golden.tiny_run("post_ln", "classification", f"norm={norm}"))
    assert_the_parts_add_up(moved(trainer))


def test_all_parts_use_the_statistics_of_the_forward():
    trainer = golden.trainer_of(golden.tiny_run("post_ln", "classification", "norm=power_norm"))
    for module in trainer.model.modules():
        if isinstance(module, PowerNorm):  # after its warm-up it reads what it also moves
            module.forwards.fill_(1000)
            module.running.fill_(3.0)
    assert_the_parts_add_up(trainer)


@pytest.mark.parametrize("variant", ["post_ln", "pre_ln", "deep_norm", "peri_ln", "hyper_connections"])
def test_at_the_start_nothing_is_left_over(variant):
    """Biases are 0, and LayerNorm is linear with its statistics held fixed."""
    with skeletons(moment_of(golden.trainer_of(golden.tiny_run(variant, "translation")))) as each:
        for skeleton in each:
            assert all(rest.abs().max() < 1e-5 for rest in skeleton.rest().values())


def test_a_part_is_a_derivative_with_fixed_statistics():
    trainer = moved(golden.trainer_of(golden.tiny_run("post_ln", "translation")), by=0.2)
    trainer.model.double()
    context = moment_of(trainer)
    with skeletons(context) as (skeleton, _):
        sites = skeleton.stack.sites
        parts = {name: part.clone() for name, part in skeleton.parts.items()}

        def streams(x, *branches):
            out = []
            for site, branch in zip(sites, branches, strict=True):
                s = x + branch
                deviation = (s.var(-1, correction=0, keepdim=True) + site.norm.eps).sqrt().detach()
                x = site.norm.weight * (s - s.mean(-1, keepdim=True)) / deviation + site.norm.bias
                out.append(x)
            return torch.stack(out)

        point = tuple(parts.values())
        for name in parts:
            along = tuple(part if other == name else torch.zeros_like(part) for other, part in parts.items())
            with torch.enable_grad():
                values, derivative = torch.autograd.functional.jvp(streams, point, along)
            found = torch.stack([skeleton.part(name)[site.name] for site in sites])
            assert torch.allclose(found, derivative, atol=1e-12)
            assert torch.allclose(values[-1], context.trace[f"{sites[-1].name}/stream"])


def test_a_branch_has_no_part_in_the_streams_before_it():
    with skeletons(moment_of(golden.trainer_of(golden.tiny_run("post_ln", "translation")))) as (_, decoder):
        made = decoder.part("decoder.02.attention")
        assert made["decoder.01.feed_forward"].abs().max() == 0
        assert made["decoder.02.attention"].abs().max() > 0
        assert set(decoder.parts) == {EMBEDDING, *made}


def test_the_model_answers_for_itself_again_afterwards():
    trainer = golden.trainer_of(golden.tiny_run("post_ln", "translation", "norm=power_norm"))
    context = moment_of(trainer)
    before = context.scores()
    with skeletons(context) as each:
        for skeleton in each:
            skeleton.rest(), skeleton.part(EMBEDDING)
    assert torch.equal(context.scores(), before)
    assert not any("forward" in vars(m) for m in trainer.model.modules() if isinstance(m, Norm))
    assert not any("branch" in vars(site) for site in context.sites)
