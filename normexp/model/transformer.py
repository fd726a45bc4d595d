"""The models: an embedding, one or two stacks, and a head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.model.embedding import Embedding
from normexp.model.stack import Stack
from normexp.model.variant import Trace


class Classifier(nn.Module):
    """Encoder, mean over the real tokens, linear head: one label per text."""

    def __init__(self, embedding: Embedding, encoder: Stack, classes: int) -> None:
        super().__init__()
        self.embedding, self.encoder = embedding, encoder
        self.head = nn.Linear(encoder.shape.width, classes)

    @property
    def stacks(self) -> list[Stack]:
        return [self.encoder]

    def forward(
        self,
        source: Tensor,
        source_mask: Tensor | None = None,
        target: None = None,
        trace: Trace | None = None,
        target_mask: None = None,
    ) -> Tensor:
        """Logits.   batch, class"""
        x = self.encoder(self.embedding(source), source_mask, trace=trace)
        if source_mask is None:
            return self.head(x.mean(dim=1))
        real = source_mask[:, :, None].to(x.dtype)
        return self.head((x * real).sum(dim=1) / real.sum(dim=1))


class LanguageModel(nn.Module):
    """A decoder without an encoder: predicts the next token at every position.

    tied: the head shares the word vectors. With vectors of variance 1/width and a normed output, logits then start with
    variance near 1. Otherwise the head is a separate matrix.
    """

    def __init__(self, embedding: Embedding, decoder: Stack, vocabulary: int, tied: bool) -> None:
        super().__init__()
        self.embedding, self.decoder = embedding, decoder
        self.head = None if tied else nn.Linear(decoder.shape.width, vocabulary, bias=False)

    @property
    def stacks(self) -> list[Stack]:
        return [self.decoder]

    def forward(
        self,
        source: Tensor | None,
        source_mask: Tensor | None,
        target: Tensor,
        trace: Trace | None = None,
        target_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits.   batch, target token, word

        source: ignored. target_mask: True at real tokens; attention does not need it, norms that pool over tokens do.
        """
        return self.predict(self.decoder(self.embedding(target), target_mask, trace=trace))

    def predict(self, x: Tensor) -> Tensor:
        """The decoder's output → logits.   batch, token, word"""
        return F.linear(x, self.embedding.words.vectors) if self.head is None else self.head(x)


class Translator(LanguageModel):
    """Encoder-decoder over one joint vocabulary: predicts the next target token at every position."""

    def __init__(self, embedding: Embedding, encoder: Stack, decoder: Stack, vocabulary: int, tied: bool) -> None:
        super().__init__(embedding, decoder, vocabulary, tied)
        self.encoder = encoder

    @property
    def stacks(self) -> list[Stack]:
        return [self.encoder, self.decoder]

    def forward(
        self,
        source: Tensor | None,
        source_mask: Tensor | None,
        target: Tensor,
        trace: Trace | None = None,
        target_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits, as in LanguageModel.   batch, target token, word"""
        assert source is not None, "translation needs a source"
        return self.decode(target, self.encode(source, source_mask, trace), source_mask, trace, target_mask)

    def encode(self, source: Tensor, mask: Tensor | None, trace: Trace | None = None) -> Tensor:
        """The memory.   batch, source token, width"""
        return self.encoder(self.embedding(source), mask, trace=trace)

    def decode(
        self,
        target: Tensor,
        memory: Tensor,
        memory_mask: Tensor | None,
        trace: Trace | None = None,
        target_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits for the token after each target token.   batch, target token, word"""
        return self.predict(self.decoder(self.embedding(target), target_mask, memory, memory_mask, trace))

    @torch.no_grad()
    def translate(self, source: Tensor, mask: Tensor | None, *, begin: int, end: int) -> list[list[int]]:
        """Greedy translations without <bos> and <eos>, of at most 2 × source length + 10 tokens.

        The cap is needed because an untrained model may never write <eos>; they are never longer than the longest text
        that the embedding takes. Finished rows leave the batch.
        """
        memory = self.encode(source, mask)
        written = torch.full((len(source), 1), begin, device=source.device)
        rows = torch.arange(len(source), device=source.device)
        out: list[list[int]] = [[] for _ in range(len(source))]
        for _ in range(min(2 * source.shape[1] + 10, self.embedding.max_length)):
            last = self.decode(written, memory, mask)[:, -1].argmax(dim=-1)
            going = last != end
            for row, token in zip(rows[going].tolist(), last[going].tolist(), strict=True):
                out[row].append(token)
            rows, memory, mask = rows[going], memory[going], None if mask is None else mask[going]
            if not len(rows):
                break
            written = torch.cat([written[going], last[going, None]], dim=1)
        return out
