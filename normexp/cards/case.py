"""What is checked: the model of a config at a depth, and made-up tokens for it."""

import copy
from collections import OrderedDict
from dataclasses import dataclass, replace

import datasets
import torch
from torch import Tensor

from normexp.config.schema import Config, Task
from normexp.config.validate import depths
from normexp.data.batches import IGNORE, Batch
from normexp.data.corpus import Corpus
from normexp.data.vocabulary import PAD, SPECIAL, Vocabulary
from normexp.model.build import Model, build
from normexp.model.initialisers import fold_in
from normexp.model.variant import Trace
from normexp.training.evaluate import cross_entropy, logits

WORDS, CLASSES = 24, 4
SOURCES, TARGETS = (7, 4, 6), (6, 3, 6)  # tokens of each text
LATE = 1_000_000  # a step at which nothing is warming up any more
MOVED = 0.05  # standard deviation of the noise that stands for training
CALLED = {
    "translation": "encoder-decoder",
    "language_modelling": "decoder alone",
    "classification": "encoder alone",
}


@dataclass(frozen=True)
class Case:
    """The model of a config for one task, without dropout, and three made-up texts, of which the second is padded.

    draws: state of the global random generator when a model is built, on which nothing should depend.
    copies: whether every traced forward has a copy of the model, so that it cannot depend on the forwards before.
    """

    config: Config
    draws: int = 0
    copies: bool = False

    @classmethod
    def of(cls, config: Config, task: str) -> "Case":
        """The config's model, built for `task`."""
        longest = max(config.model.max_length, *SOURCES, *TARGETS)
        size = replace(config.model, dropout=0.0, attention_dropout=0.0, max_length=longest)
        return cls(replace(config, task=Task(task), model=size))

    def at(self, depth: int) -> "Case":
        """The same with this many layers in every stack."""
        size = replace(self.config.model, encoder_depth=depth, decoder_depth=depth)
        return replace(self, config=replace(self.config, depth=depth, model=size))

    @property
    def called(self) -> str:
        return CALLED[self.config.task.name]

    @property
    def depth(self) -> int:
        """Layers of the deepest stack."""
        return max(depths(self.config))

    def built(self) -> Model:
        """The model before the variant has seen any data, as a run that is resumed builds it."""
        words = tuple(SPECIAL) + tuple(f"w{place}" for place in range(WORDS - len(SPECIAL)))
        classes = tuple(f"c{place}" for place in range(CLASSES))
        torch.manual_seed(self.draws)
        corpus = Corpus(self.config.task.name, datasets.DatasetDict(), Vocabulary(words), classes, {}, "")
        return build(self.config, corpus).train()

    def model(self, *, moved: bool = False) -> Model:
        """The model before its first step, in training mode.

        moved: with noise on every parameter. A factor that starts at 0 would hide what it multiplies.
        """
        model = self.built()
        for stack in model.stacks:
            with torch.no_grad():
                stack.variant.calibrate(lambda: self.forward(model, self.batch()))
        if moved:
            self.move(model)
        return model

    @torch.no_grad()
    def move(self, model: Model) -> None:
        """Noise on every parameter, drawn by its name."""
        for name, parameter in model.named_parameters():
            generator = torch.Generator().manual_seed(fold_in(self.config.seed, "check", name))
            parameter.add_(MOVED * torch.randn(parameter.shape, generator=generator).to(parameter))

    def batch(self) -> Batch:
        """Three texts, the second of them shorter than the others."""
        task = self.config.task.name
        source = self._tokens("source", SOURCES) if task != "language_modelling" else torch.zeros(3, 0).long()
        mask = source != PAD if source.numel() else None
        if task == "classification":
            return Batch(source, mask, None, torch.tensor([0, 1, 2]), len(SOURCES))
        target = self._tokens("target", TARGETS)
        labels = self._tokens("labels", TARGETS).masked_fill(target == PAD, IGNORE)
        return Batch(source, mask, target, labels, sum(TARGETS))

    def _tokens(self, what: str, lengths: tuple[int, ...]) -> Tensor:
        generator = torch.Generator().manual_seed(fold_in(self.config.seed, "check", what))
        tokens = torch.randint(len(SPECIAL), WORDS, (len(lengths), max(lengths)), generator=generator)
        places = torch.arange(max(lengths))
        return torch.where(places < torch.tensor(lengths)[:, None], tokens, PAD)

    def forward(
        self, model: Model, batch: Batch, *, training: bool = True, step: int = LATE, trace: Trace | None = None
    ) -> Tensor:
        """Logits of the training forward of a step, or of evaluation after it; the same draws in every call."""
        model.train(training)
        for stack in model.stacks:
            stack.on_step_begin(step)
        torch.manual_seed(fold_in(self.config.seed, "check", "dropout"))
        return logits(model, batch, trace=trace)

    def trace(self, model: Model, batch: Batch, *, training: bool, step: int = LATE) -> Trace:
        """The named tensors of a forward without gradients, the logits last."""
        trace: Trace = {}
        if self.copies:
            model = copied(model)
        with torch.no_grad():
            scores = self.forward(model, batch, training=training, step=step, trace=trace)
        return {**trace, "logits": scores}

    def loss(self, model: Model, *, step: int = LATE) -> Tensor:
        """The loss of the training forward."""
        batch = self.batch()
        return cross_entropy(self.forward(model, batch, step=step), batch.labels)


def copied(model: Model) -> Model:
    """A deep copy, in half the time: every module has a dozen empty dicts of hooks, which are the slowest to copy."""
    parts = (part for module in model.modules() for part in vars(module).values())
    hooks = {id(part): OrderedDict[str, object]() for part in parts if type(part) is OrderedDict and not part}
    return copy.deepcopy(model, hooks)


def other(tokens: Tensor) -> Tensor:
    """Another word in place of each: the next one."""
    return len(SPECIAL) + (tokens + 1 - len(SPECIAL)) % (WORDS - len(SPECIAL))
