"""Add-ons: their factors against numbers from their papers' formulas, under any variant, and as overrides."""

import math
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from normexp.addons import AddOn
from normexp.addons.prores import ProRes
from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.identity import identity
from normexp.config.schema import from_dict, to_dict
from normexp.errors import ConfigError
from normexp.model.variant import StackShape
from normexp.papers import papers_of
from normexp.probes.graph import written
from normexp.sweep.plan import plan
from normexp.sweep.preflight import check_buildable
from normexp.views.show import describe
from tests.support import golden
from tests.support.configs import config_of, with_values
from tests.support.models import model_of, node
from tests.support.references.blocks import (
    Weights,
    attend,
    branch,
    heads_of,
    layer_norm,
    linear,
    not_seen,
    own_norm,
)
from tests.support.references.comparison import close
from tests.support.runs import TINY, tiny_config
from tests.support.steps import take_step

NAMES = Composer("train").options("addon")
VARIANTS = Composer("train").options("variant")
DEPTHS = {"encoder_depth": 3, "decoder_depth": 4}


def add_ons(*names, **options):
    """As config.yaml has them; options: of all of them."""
    return {name: {k: v for k, v in node(name, "addon", **options).items() if k != "name"} for name in names}


def decoder_of(variant, *names, **options):
    """A decoder alone in float64, its parameters moved off their start, and the weights for a reference."""
    model = model_of(variant, **DEPTHS, task="language_modelling", addon=add_ons(*names, **options)).double()
    torch.manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    tensors = {name: value.detach() for name, value in model.eval().state_dict().items()}
    sizes = {"encoder_depth": 0, "decoder_depth": 4, "heads": 4}
    return model.decoder, Weights(tensors, "decoder", **sizes)


def pre_ln(x, w, read=1.0, factor=lambda layer, site: 1.0, after=lambda y, layer: y):
    """Pre-LN with a factor on what branches read (a power of the layer), on branches, and something after each sum."""
    for layer in range(1, w.depth + 1):
        for site in w.kinds:
            f = branch(layer_norm(x, w, layer, site) * layer ** (read - 1), w, layer, site)
            x = after(x + factor(layer, site) * f, layer)
    return own_norm(x, w)


# -- each under Pre-LN, against straight-line code --------------------------------------------------------------------


def gated(w, of=lambda y: y):
    """What GPAS leaves of a sum y in the forward pass."""

    def after(y, layer):
        g = w.tensors["decoder.add_ons.gpas.gates"][layer - 1]
        return y - g / (1 + (-g).exp()) * of(y)

    return after


def gated_attention(x, w, read=lambda x, normed: normed):
    """Pre-LN with heads ⊙ σ(xW) before the output projection."""
    for layer in range(1, w.depth + 1):
        normed = layer_norm(x, w, layer, "attention")
        q, k, v = (heads_of(linear(normed, w, layer, "attention", n), w.heads) for n in ("query", "key", "value"))
        gate = (
            read(x, normed) @ w.get(layer, "attention", "sublayer.inside.before_out+gated_attention.weights.weight").T
        )
        heads = attend(q, k, v, not_seen(w, "attention", x.shape[1])) / (1 + (-gate).exp())
        x = x + linear(heads, w, layer, "attention", "out")
        x = x + branch(layer_norm(x, w, layer, "feed_forward"), w, layer, "feed_forward")
    return own_norm(x, w)


def sigma_reparam(x, w, size=lambda left, matrix, right: left @ matrix @ right):
    """Pre-LN with gW/σ(W) in place of every W: one step of power iteration from the kept direction."""
    tensors = dict(w.tensors)
    for name in [name for name in tensors if name.endswith(".direction")]:
        place = name.removesuffix(".direction")
        matrix = tensors[f"{place}.weight"]
        left = matrix @ tensors[name]
        left = left / left.norm()
        right = matrix.T @ left
        tensors[f"{place}.weight"] = tensors[f"{place}.gain"] * matrix / size(left, matrix, right / right.norm())
    return pre_ln(x, replace(w, tensors=tensors))


REFERENCES = {
    "gated_attention": gated_attention,
    "sigma_reparam": sigma_reparam,
    "prores": lambda x, w: pre_ln(x, w, factor=lambda layer, site: min(1, 1 / (4 * layer))),  # at step 1, T = 4
    "layer_norm_scaling": lambda x, w: pre_ln(x, w, read=0.5),
    "complete_p": lambda x, w: pre_ln(x, w, factor=lambda layer, site: 2 / 4),
    "layer_scale": lambda x, w: pre_ln(x, w, factor=lambda layer, site: w.get(layer, site, "branch_gain")),
    "gpas": lambda x, w: pre_ln(x, w, after=gated(w)),
}
MUTATIONS = {
    "gated_attention": lambda x, w: gated_attention(x, w, read=lambda x, normed: x),  # the stream, not what is read
    "sigma_reparam": lambda x, w: sigma_reparam(x, w, size=lambda left, matrix, right: matrix.norm()),  # Frobenius
    "prores": lambda x, w: pre_ln(x, w, factor=lambda layer, site: 1 / 16),  # all layers like the last
    "complete_p": lambda x, w: pre_ln(x, w, factor=lambda layer, site: (2 / 4) ** 0.5),  # depth-µP's
    "layer_norm_scaling": lambda x, w: pre_ln(x, w, factor=lambda layer, site: layer**-0.5),  # on the branch
    "layer_scale": lambda x, w: pre_ln(x, w, factor=lambda layer, site: w.get(1, site, "branch_gain")),
    "gpas": lambda x, w: pre_ln(x, w, after=lambda y, layer: y),
}


def test_every_add_on_has_a_reference():
    assert sorted(REFERENCES) == sorted(MUTATIONS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_under_pre_ln_it_computes_its_equation(name):
    decoder, weights = decoder_of("pre_ln", name)
    x = torch.randn(3, 5, 16, dtype=torch.float64)
    with torch.no_grad():
        ours = decoder(x)
        assert close(ours, REFERENCES[name](x, weights))
        assert not close(ours, MUTATIONS[name](x, weights))


@pytest.mark.parametrize("name", ["layer_scale", "layer_norm_scaling"])
def test_under_pre_ln_it_is_the_variant_of_its_name(name, tokens):
    one, other = model_of("pre_ln", addon=add_ons(name)), model_of(name)
    assert torch.allclose(one(**tokens), other(**tokens), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_it_states_its_equation_and_source(name):
    cls = Choice.of("addon", node(name, "addon")).cls
    assert issubclass(cls, AddOn)
    assert cls.equation
    assert cls.verified
    assert papers_of(cls.paper)


# -- ProRes -----------------------------------------------------------------------------------------------------------


def prores(depth=4, **options):
    return ProRes(StackShape("decoder", 0, depth, width=8, heads=2, feed_forward=16), **options)


def test_deeper_layers_fade_in_later():
    """Layer l over T·l steps, T = 5."""
    one = prores(steps=5)
    for step, expected in ((1, [0.2, 0.1, 1 / 15, 0.05]), (5, [1, 0.5, 1 / 3, 0.25]), (20, [1] * 4), (99, [1] * 4)):
        one.on_step_begin(step)
        assert one.alpha.tolist() == pytest.approx(expected)
    assert "alpha" in one.state_dict()  # a resumed run has it


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("reverse", [0.25, 1 / 3, 0.5, 1]),
        ("equal", [0.25] * 4),
        ("1/L", [0.25] * 4),
        ("1/sqrt_L", [0.5] * 4),
        ("1/sqrt_l", [1, 0.7071068, 0.5773503, 0.5]),
    ],
)
def test_other_forms(form, expected):
    one = prores(steps=5, form=form)
    one.on_step_begin(5)
    assert one.alpha.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"form": "cubic"},
            "addon.prores.form must be one of linear, reverse, equal, 1/L, 1/sqrt_L, 1/sqrt_l; got cubic",
        ),
        ({"steps": 0}, "addon.prores.steps must be at least 1; got 0"),
    ],
)
def test_wrong_options_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        prores(**options)
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        config_of(*TINY, "addon=[prores]", *(f"addon.prores.{key}={value}" for key, value in options.items()))


@pytest.mark.slow
def test_the_trainer_moves_it_on():
    trainer = golden.trainer_of(golden.tiny_run("pre_ln", "classification", "addon=[prores]", "addon.prores.steps=2"))
    data = trainer.data()
    for step in (1, 2, 3):
        take_step(trainer, next(data))
        alpha = trainer.model.encoder.add_ons["prores"].alpha.tolist()
        assert alpha == pytest.approx([min(1, step / (2 * layer)) for layer in (1, 2, 3)])


# -- GPAS -------------------------------------------------------------------------------------------------------------


def test_gpas_shrinks_the_stream_and_not_its_gradient():
    """Past silent branches: the output is scaled once per sub-layer, the gradient is 1."""
    model = model_of("post_ln", **DEPTHS, task="language_modelling", norm=node("none", "norm"), addon=add_ons("gpas"))
    for site in model.decoder.sites:
        site.sublayer.forward = lambda x, *_: 0 * x
    model.decoder.add_ons["gpas"].gates.data.fill_(1.0)
    x = torch.randn(2, 5, 16, requires_grad=True)
    out = model.decoder(x)
    silu = 1 / (1 + 2.718281828**-1)
    assert torch.allclose(out, (1 - silu) ** 8 * x)
    out.sum().backward()
    assert torch.allclose(x.grad, torch.ones_like(x))


def test_a_layer_has_one_gate_that_starts_at_zero(tokens):
    plain, gated = model_of("pre_ln", 3, 4), model_of("pre_ln", 3, 4, addon=add_ons("gpas"))
    assert [stack.add_ons["gpas"].gates.tolist() for stack in gated.stacks] == [[0] * 3, [0] * 4]
    assert torch.equal(plain(**tokens), gated(**tokens))


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["resi_dual", "mhc", "attention_residuals", "b2t", "dlcl_pre"])
def test_gpas_is_refused_where_there_is_no_one_sum(variant):
    sentence = f"addon=gpas needs a variant with one stream, joined site by site; variant={variant} is not one"
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        config_of(*TINY, f"variant={variant}", "addon=[gpas]")


# -- gated attention --------------------------------------------------------------------------------------------------


def test_a_head_may_have_one_gate():
    """Its four channels are multiplied alike; the first head is shut."""
    model = model_of("pre_ln", addon=add_ons("gated_attention", elementwise=False))
    sublayer = model.encoder.sites[0].sublayer
    gate = sublayer.inside["before_out+gated_attention"]
    assert gate.weights.weight.shape == (4, 16)
    gate.weights.weight.data.zero_()
    gate.weights.weight.data[0] = -1e4
    seen = []
    sublayer.out.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    plain = []
    gate.register_forward_pre_hook(lambda _, args: plain.append(args[0]))
    model.encoder(torch.rand(2, 5, 16) + 0.1, None)  # read through a norm: half of the numbers are negative
    model.encoder.sites[0].branch(torch.rand(2, 5, 16) + 0.1)  # read as they are: all of them are positive
    assert torch.equal(seen[1], plain[1] * torch.tensor([0.0] * 4 + [0.5] * 12))
    with pytest.raises(RuntimeError, match="must be passed before"):
        gate.read[0].take()  # the last batch does not stay in memory


def test_a_gate_acts_after_the_norm_of_sub_ln():
    model = model_of("sub_ln", addon=add_ons("gated_attention"))
    inside = model.encoder.sites[0].sublayer.inside
    assert list(inside) == ["before_out", "input+gated_attention", "before_out+gated_attention"]
    seen = []
    inside["before_out"].register_forward_hook(lambda _, args, out: seen.append(out))
    inside["before_out+gated_attention"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.encoder(torch.randn(2, 5, 16))
    assert seen[0] is seen[1]
    assert "  inside A: Gate at before_out" in written(model)


# -- σReparam ---------------------------------------------------------------------------------------------------------


def spectral_norms(model):
    """Of the matrices that the forward multiplies by, by probing each with the unit vectors."""
    found = []
    for site in model.encoder.sites:
        for matrix in site.sublayer.children():
            if isinstance(matrix, nn.Linear):
                with torch.no_grad():
                    columns = matrix(torch.eye(matrix.in_features)) - matrix(torch.zeros(1, matrix.in_features))
                found.append(torch.linalg.matrix_norm(columns, 2).item())
    return found


def test_every_matrix_starts_with_a_spectral_norm_of_one(tokens):
    plain, one = model_of("deep_norm"), model_of("deep_norm", addon=add_ons("sigma_reparam"))
    own = model_of("deep_norm", addon=add_ons("sigma_reparam", gain=None))
    assert len(spectral_norms(one)) == 3 * 6
    assert spectral_norms(one) == pytest.approx([1.0] * 18, rel=1e-5)
    assert spectral_norms(own) == pytest.approx(spectral_norms(plain), rel=1e-5)
    assert torch.allclose(own(**tokens), plain(**tokens), atol=1e-5)
    assert min(abs(norm - 1) for norm in spectral_norms(plain)) > 0.01


@pytest.mark.slow
def test_the_spectral_norm_is_followed_in_training_only():
    trainer = golden.trainer_of(golden.tiny_run("pre_ln", "classification", "addon=[sigma_reparam]"))
    data = trainer.data()
    before = [module.direction.clone() for module in trainer.model.modules() if hasattr(module, "direction")]
    for _ in range(4):
        take_step(trainer, next(data))
    gains = [m.gain.item() for m in trainer.model.modules() if hasattr(m, "direction")]
    assert spectral_norms(trainer.model.eval()) == pytest.approx([abs(gain) for gain in gains], rel=1e-2)
    after = [module.direction.clone() for module in trainer.model.modules() if hasattr(module, "direction")]
    assert not any(map(torch.equal, before, after))
    spectral_norms(trainer.model)
    again = [module.direction for module in trainer.model.modules() if hasattr(module, "direction")]
    assert all(map(torch.equal, after, again))


def test_a_matrix_that_starts_at_zero_stays_as_it_is():
    model = model_of("fixup", addon=add_ons("sigma_reparam"))
    scaled = {
        role: m.gain is not None for role, m in model.encoder.sites[0].sublayer.named_children() if hasattr(m, "gain")
    }
    assert scaled == {"query": True, "key": True, "value": True, "out": False}


def test_matrices_without_biases_stay_without():
    model = model_of("t5", addon=add_ons("sigma_reparam"))
    assert not [name for name, _ in model.encoder.named_parameters() if name.endswith("bias")]


# -- CompleteP --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("exponent", "lr", "eps"), [(1.0, 1.0, 1 / 3), (0.5, 3**-0.5, 3**-0.5), (0.0, 1 / 3, 1.0)])
def test_rates_and_epsilon_are_scaled_in_the_layers(exponent, lr, eps):
    """Six layers over a base of two in the encoder; the decoder has two."""
    addon = ("addon=[complete_p]", f"addon.complete_p.exponent={exponent}", "optimizer=adamw")
    config = with_values(golden.tiny_run("pre_ln", "translation", *addon), model={"encoder_depth": 6})
    trainer = golden.trainer_of(config)
    names = {parameter: name for name, parameter in trainer.model.named_parameters()}
    seen = {}
    for group in trainer.optimizer.param_groups:
        assert group["weight_decay"] == 0.01
        for parameter in group["params"]:
            scaled = names[parameter].startswith("encoder.layers.")
            assert group["lr"] == pytest.approx(config.lr * (lr if scaled else 1))
            assert group["eps"] == pytest.approx(1e-8 * (eps if scaled else 1))
            seen[parameter] = True
    assert len(seen) == len(names)
    assert len(trainer.optimizer.param_groups) == 2
    before = {name: parameter.clone() for parameter, name in names.items()}
    take_step(trainer, next(trainer.data()))
    rates = {group["lr"] / peak for group, peak in zip(trainer.optimizer.param_groups, trainer.peak_rates, strict=True)}
    assert len(rates) == 1  # the schedule scales all groups alike
    moved = (
        (
            trainer.model.encoder.layers["06"].feed_forward.sublayer.fc1.weight
            - before["encoder.layers.06.feed_forward.sublayer.fc1.weight"]
        )
        .abs()
        .median()
    )
    assert moved.item() == pytest.approx(config.lr * rates.pop() * lr, rel=0.02)  # Adam's first step


@pytest.mark.slow
def test_an_optimizer_with_two_epsilons_keeps_them():
    addon = ("addon=[complete_p]", "addon.complete_p.exponent=0.5", "addon.complete_p.base=1", "optimizer=adafactor")
    groups = golden.trainer_of(golden.tiny_run("pre_ln", "classification", *addon)).optimizer.param_groups
    assert len({group["lr"] for group in groups}) == 2
    assert [None, 1e-3] in [list(group["eps"]) for group in groups]


@pytest.mark.slow
def test_a_rate_at_the_base_is_the_usual_one():
    plain, scaled = (
        golden.trainer_of(golden.tiny_run("pre_ln", "classification", *more))
        for more in ((), ("addon=[complete_p]", "addon.complete_p.base=3"))
    )
    assert len(scaled.optimizer.param_groups) == 1
    for trainer in (plain, scaled):
        for batch, _ in zip(trainer.data(), range(2), strict=False):
            take_step(trainer, batch)
    assert all(map(torch.equal, plain.model.parameters(), scaled.model.parameters()))


def moved_stream(depth, *overrides):
    """How far five updates move the last stream of a decoder, per token."""
    config = with_values(golden.tiny_run("pre_ln", "language_modelling", *overrides), model={"decoder_depth": depth})
    trainer = golden.trainer_of(config)
    data = trainer.data()
    first, end = next(data), f"{trainer.model.decoder.sites[-1].name}/stream"
    before = trainer.probe_context(first).trace_of(trainer.model)[end]
    for _ in range(5):
        trainer.backward(next(data))
        trainer.update()
    return (trainer.probe_context(first).trace_of(trainer.model)[end] - before).norm(dim=-1).mean().item()


@pytest.mark.slow
def test_updates_move_deep_and_shallow_streams_alike():
    """The coordinate check in depth: a slope near 0 between 2 and 16 layers, where that without it is above 0.3."""

    def slope(*overrides):
        return math.log(moved_stream(16, *overrides) / moved_stream(2, *overrides)) / math.log(8)

    assert slope("addon=[]") > 0.3
    assert abs(slope("addon=[complete_p]")) < 0.15
    assert abs(slope("addon=[complete_p]", "addon.complete_p.exponent=0.5")) < 0.15


@pytest.mark.slow
def test_complete_p_needs_groups():
    sentence = "addon=complete_p needs an optimizer of torch.optim; optimizer=muon is not one"
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        config_of(*TINY, "addon=[complete_p]", "optimizer=muon")
    sgd = golden.trainer_of(golden.tiny_run("pre_ln", "classification", "addon=[complete_p]", "optimizer=sgd"))
    take_step(sgd, next(sgd.data()))
    assert sgd.finite


# -- under every variant ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_a_step_with_every_add_on(variant):
    """Or is refused with one sentence; all of them together, too."""
    size = {"encoder_depth": 2, "decoder_depth": 2, "width": 8, "feed_forward": 8}
    config = with_values(golden.tiny_run(variant, "translation"), model=size)
    for names in (*((name,) for name in NAMES), NAMES):
        chosen = replace(config, addon=from_dict({"addon": add_ons(*names)}).addon)
        try:
            check_buildable(chosen, ["addon"])
        except ConfigError as refused:
            assert "gpas" in names
            assert str(refused).startswith("addon=gpas needs a variant with one stream")  # noqa: PT017
            continue
        trainer = golden.trainer_of(chosen)
        loss, _ = take_step(trainer, next(trainer.data()))
        assert loss.isfinite()
        assert trainer.finite


def test_add_ons_keep_the_weights_of_the_variant():
    """What they draw has names of its own, so that runs with and without one start alike."""
    plain, changed = model_of("pre_ln").state_dict(), model_of("pre_ln", addon=add_ons(*NAMES)).state_dict()
    assert all(torch.equal(value, changed[name]) for name, value in plain.items())
    added = {name.split(".")[-1] for name in set(changed) - set(plain)}
    assert added == {"alpha", "gates", "branch_gain", "gain", "direction", "weight"}


# -- as overrides -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_line_runs_a_matrix_of_variants_and_add_ons():
    sweep = plan("sweep", [*TINY, "variant=pre_ln,post_ln", "addon=choice([],[prores],[prores,gpas])", "depth=2"])
    assert sweep.swept == ("variant", "addon")
    names = [run.name.rpartition("-")[0] for run in sweep.runs]
    assert names == [f"{v}-{a}" for v in ("pre_ln", "post_ln") for a in ("no_addon", "prores", "gpas+prores")]


@pytest.mark.slow
def test_their_options_are_keys():
    config = tiny_config("addon=[prores]", "addon.prores.steps=7")
    assert config.addon[0].options["steps"] == 7
    assert from_dict(to_dict(config)) == config


@pytest.mark.slow
def test_a_run_without_add_ons_keeps_its_old_identity():
    config = tiny_config()
    before = {key: value for key, value in to_dict(config).items() if key != "addon"}
    assert identity(from_dict(before)) == identity(config)
    assert identity(tiny_config("addon=[]")) == identity(config)
    assert identity(tiny_config("addon=[gpas]")) != identity(config)


@pytest.mark.slow
def test_their_order_means_nothing():
    one, other = tiny_config("addon=[prores,gpas]"), tiny_config("addon=[gpas,prores]")
    assert one == other
    assert identity(one) == identity(other)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["addon=[prorez]"], "addon=prorez does not exist; did you mean prores?"),
        (["addon=choice([gpas],[gpaz])"], "addon=gpaz does not exist; did you mean gpas?"),
        (["addon.prores.steps=3"], "addon.prores is set, but addon=[…] does not name prores"),
        (
            ["addon=[prores]", "addon.prores.stepz=3"],
            "addon.prores.stepz is not an option of addon=prores; it has steps",
        ),
    ],
)
def test_a_wrong_override_is_one_sentence(overrides, sentence):
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        plan("sweep", [*TINY, "variant=pre_ln", *overrides])


@pytest.mark.slow
def test_show_prints_them():
    shown = describe(tiny_config("variant=pre_ln", "addon=[prores,gpas]", "depth=2"))
    assert "prores: f ← αf, α = min(1, t/(T·l)) at step t" in shown
    assert "h₁ = x + 0.25·A(LN(x))" in shown
    assert "x ← h₂ − 0·detach(h₂)" in shown
    assert "encoder gates: 0 (learned)" in shown


@pytest.mark.slow
def test_one_from_a_folder_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "addon").mkdir()
    (tmp_path / "addon" / "doubled.yaml").write_text("_target_: doubled_branch.Doubled\n")
    source = "from normexp.addons import AddOn\n\n\nclass Doubled(AddOn):\n    pass\n"
    (tmp_path / "doubled_branch.py").write_text(source)
    one = config_of(*TINY, "addon=[doubled]", config_dirs=[str(tmp_path)])
    assert isinstance(one.addon[0].build(StackShape("encoder", 1, 0, 8, 2, 8)), nn.Module)
    before = identity(one)
    (tmp_path / "doubled_branch.py").write_text(source + "    # edited\n")
    assert identity(one) != before


def test_options_next_to_sigma_reparam_are_checked_without_numbers():
    """The model that is built for that has none."""
    config = config_of(*TINY, "addon=[sigma_reparam]", "norm.eps=1e-4")
    check_buildable(config, ["norm.eps", "addon"])
