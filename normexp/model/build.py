"""From a config to a model with its initial weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from normexp.config.schema import Config
from normexp.config.validate import depths
from normexp.data.corpus import Corpus
from normexp.model.embedding import Embedding
from normexp.model.initialisers import Init, initialise
from normexp.model.stack import Stack
from normexp.model.transformer import Classifier, LanguageModel, Translator
from normexp.model.variant import Site, StackShape, Variant

Model = Classifier | LanguageModel | Translator
ATTENTION_NORMS = {  # slots, by model.attention_norm
    "none": (),
    "qk": ("query", "key"),
    "qkv": ("query", "key", "value"),
    "qk_whole": ("whole_query", "whole_key"),
}


def build(config: Config, corpus: Corpus) -> Model:
    """The model that a config describes for a corpus, its weights drawn from `config.seed`."""
    size, vocabulary = config.model, len(corpus.vocabulary)
    make_norm, make_variant = config.norm.factory, config.variant.factory
    encoder_depth, decoder_depth = depths(config)
    slots = ATTENTION_NORMS[size.attention_norm]
    normed = size.width if size.attention_norm == "qk_whole" else size.width // size.heads

    def stack(name: str) -> Stack:
        return Stack(
            StackShape(name, encoder_depth, decoder_depth, size.width, size.heads, size.feed_forward, size.persistent),
            lambda shape: make_variant(shape, make_norm),
            activation=size.activation,
            positions=size.positions,
            biases=size.biases,
            dropout=size.dropout,
            attention_dropout=size.attention_dropout,
            make_add_ons=lambda shape: {choice.name: choice.build(shape) for choice in config.addon},
            attention_norms=lambda: {slot: make_norm(normed) for slot in slots},
            recompute=config.training.activation_checkpointing,
        )

    model: Model
    with undrawn():
        embedding = Embedding(vocabulary, size.width, size.positions, size.max_length, size.dropout, size.fix_norm)
        if config.task.name == "translation":
            model = Translator(embedding, stack("encoder"), stack("decoder"), vocabulary, size.tied)
        elif config.task.name == "language_modelling":
            model = LanguageModel(embedding, stack("decoder"), vocabulary, size.tied)
        else:
            model = Classifier(embedding, stack("encoder"), len(corpus.classes))
    init: Init = config.init.build()
    initialise(model, init, config.seed, _gains(model, init))
    constrain(model)
    for each in model.stacks:
        each.on_initialised()
    return model


@contextmanager
def undrawn() -> Iterator[None]:
    """New layers skip their own random start while this is open: `initialise` draws every matrix afterwards."""
    kinds: tuple[Any, ...] = (nn.Linear, nn.Embedding)
    own = [kind.reset_parameters for kind in kinds]
    for kind in kinds:
        kind.reset_parameters = lambda self: None
    try:
        yield
    finally:
        for kind, method in zip(kinds, own, strict=True):
            kind.reset_parameters = method


def _gains(model: Model, init: Init) -> Callable[[nn.Module], float]:
    """Which factor the variants and the init's own rule of depth put on which module's initial matrix."""
    factors: dict[nn.Module, float] = {
        module: stack.variant.init_scale(site, role) * (init.factor(site, role, len(stack.sites)) if site else 1.0)
        for module, stack, site, role in _matrices(model)
    }
    return lambda module: factors.get(module, 1.0)


@torch.no_grad()
def constrain(model: Model) -> None:
    """Replace every matrix by what its variant makes of it: at the start and after every update."""
    if all(type(stack.variant).constrained is Variant.constrained for stack in model.stacks):
        return
    for module, stack, site, role in _matrices(model):
        module.weight.copy_(stack.variant.constrained(module.weight, site, role))


def _matrices(model: Model) -> Iterator[tuple[nn.Linear | nn.Embedding, Stack, Site | None, str]]:
    """Every module with a matrix, the stack whose variant decides about it, and its site and role there."""
    for stack in model.stacks:
        for site in stack.sites:
            for role, matrix in site.sublayer.named_children():
                if isinstance(matrix, nn.Linear):
                    yield matrix, stack, site, role
    yield model.embedding.words, model.stacks[0], None, "embedding"
    if model.head is not None:
        yield model.head, model.stacks[-1], None, "head"
