"""The speed of a whole training step, compared with other packages, as a Markdown table of ratios.

    python scripts/peers.py [--rounds N] [--widths 64 128 512] [--threads 1 2]

Encoder-decoders in Pre-LN with the same sizes, batches and optimizer (fused Adam): forward, loss, backward, update.
Ours also measures the gradient norm of every layer. In every round all of them take a step on the same batch, in an
order that rotates. Needs `pip install 'normexp[bench]'`.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import islice

import torch
import torch.nn.functional as F
import transformers
import x_transformers
from torch import Tensor, nn

from normexp.data.batches import IGNORE, Batch
from normexp.data.corpus import load_corpus
from normexp.data.vocabulary import PAD
from normexp.model.embedding import sinusoids
from normexp.probes.probe_set import ProbeSet
from normexp.sweep.plan import plan
from normexp.training.trainer import Trainer

Step = Callable[[Batch], object]
DEPTH, HEADS, LENGTH = 6, 4, 256
WARM_UP = 3  # rounds that are not counted
OURS = "normexp"


class TorchTransformer(nn.Module):
    """torch.nn.Transformer with a tied embedding and the sinusoidal positions that ours has."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.scale = width**0.5
        self.embedding = nn.Embedding(words, width)
        self.register_buffer("positions", sinusoids(LENGTH, width))
        self.model = nn.Transformer(width, HEADS, DEPTH, DEPTH, 4 * width, 0.0, norm_first=True, batch_first=True)

    def forward(self, batch: Batch) -> Tensor:
        padding = None if batch.source_mask is None else ~batch.source_mask
        source, target = self.embed(batch.source), self.embed(batch.target)
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1]) < 0
        x = self.model(
            source,
            target,
            tgt_mask=causal,
            tgt_is_causal=True,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
        return F.linear(x, self.embedding.weight)

    def embed(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens) * self.scale + self.positions[: tokens.shape[1]]


class MBart(nn.Module):
    """transformers.MBartForConditionalGeneration."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        config = transformers.MBartConfig(
            vocab_size=words,
            d_model=width,
            encoder_layers=DEPTH,
            decoder_layers=DEPTH,
            encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS,
            encoder_ffn_dim=4 * width,
            decoder_ffn_dim=4 * width,
            max_position_embeddings=LENGTH,
            activation_function="relu",
            dropout=0.0,
            use_cache=False,
            pad_token_id=PAD,
            attn_implementation="sdpa",
        )
        self.model = transformers.MBartForConditionalGeneration(config)

    def forward(self, batch: Batch) -> Tensor:
        scores: Tensor = self.model(
            input_ids=batch.source, attention_mask=batch.source_mask, decoder_input_ids=batch.target
        ).logits
        return scores


class XTransformers(nn.Module):
    """x_transformers.XTransformer; its decoder without the wrapper that shifts the target."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        size = {
            "num_tokens": words,
            "max_seq_len": LENGTH,
            "depth": DEPTH,
            "heads": HEADS,
            "attn_dim_head": width // HEADS,
        }
        both = {f"{side}_{key}": value for side in ("enc", "dec") for key, value in size.items()}
        flash = {"enc_attn_flash": True, "dec_attn_flash": True}
        model = x_transformers.XTransformer(dim=width, tie_token_emb=True, **both, **flash)
        self.encoder, self.decoder = model.encoder, model.decoder.net

    def forward(self, batch: Batch) -> Tensor:
        memory = self.encoder(batch.source, mask=batch.source_mask, return_embeddings=True)
        scores: Tensor = self.decoder(batch.target, context=memory, context_mask=batch.source_mask)
        return scores


PEERS = {"torch.nn.Transformer": TorchTransformer, "transformers MBart": MBart, "x-transformers": XTransformers}


def our_step(trainer: Trainer) -> Step:
    """A step as the training loop takes it, with every gradient norm measured."""
    probes = ProbeSet(trainer.config)

    def step(batch: Batch) -> object:
        loss = trainer.backward(batch)
        measured = probes.measure(trainer.probe_context(batch))
        trainer.update()
        return loss, measured

    return step


def peer_step(model: nn.Module) -> Step:
    """A step as its users write it."""
    optimizer = torch.optim.Adam(model.train().parameters(), lr=1e-4, betas=(0.9, 0.98), fused=True)

    def step(batch: Batch) -> object:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(batch).flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORE)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def race(width: int, rounds: int) -> dict[str, list[float]]:
    """Seconds per step of each, round by round."""
    sizes = (f"model.width={width}", f"model.heads={HEADS}", f"model.feed_forward={4 * width}")
    line = ["variant=pre_ln", f"depth={DEPTH}", *sizes, "lr=1e-4", "steps=1000", "training.device=cpu"]
    config = plan("train", [*line, "probe=[gradient_norm]"]).runs[0].config
    corpus = load_corpus(config.data)
    trainer = Trainer(config, corpus)
    torch.manual_seed(0)
    words = len(corpus.vocabulary)
    steps = {OURS: our_step(trainer), **{name: peer_step(peer(words, width)) for name, peer in PEERS.items()}}
    names, times = list(steps), {name: list[float]() for name in steps}
    for turn, batch in enumerate(islice(trainer.data(), WARM_UP + rounds)):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            steps[name](batch)
            times[name].append(time.perf_counter() - start)
    return {name: own[WARM_UP:] for name, own in times.items()}


def row(width: int, threads: int, times: dict[str, list[float]]) -> str:
    """Our milliseconds, then the speed of ours over that of each peer: the median and the quartiles of the rounds."""
    cells = [f"{1e3 * statistics.median(times[OURS]):.1f}"]
    for name in PEERS:
        ratios = [theirs / ours for ours, theirs in zip(times[OURS], times[name], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        cells.append(f"{middle:.2f} [{low:.2f}, {high:.2f}]")
    return f"| {width} | {threads} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="steps of each; a tenth of them at widths above 256")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 512])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (torch, transformers))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    print(f"Speed of normexp over that of each peer at {DEPTH} + {DEPTH} layers: median [quartiles].\n")
    print(f"| width | threads | ms per step of ours | {' | '.join(PEERS)} |")
    print("|---" * (3 + len(PEERS)) + "|", flush=True)
    for width in asked.widths:
        for threads in asked.threads:
            torch.set_num_threads(threads)
            rounds = asked.rounds if width <= 256 else max(6, asked.rounds // 10)
            print(row(width, threads, race(width, rounds)), flush=True)


if __name__ == "__main__":
    main()
