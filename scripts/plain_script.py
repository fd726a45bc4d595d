"""The time of the default sweep, compared with a plain script: one process, one model after the other.

    python scripts/plain_script.py [OVERRIDES]

The script takes models and batches from normexp and does what people write around them: PyTorch's default threads and
Adam, and after every step the loss and the gradient norm of every parameter, read with .item(). The sweep does more: it
validates, translates, checkpoints and draws figures. Both start in an empty folder.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from itertools import islice

import torch
import torch.nn.functional as F

from normexp.config.schema import Config
from normexp.data.batches import IGNORE
from normexp.data.corpus import load_corpus
from normexp.sweep.plan import plan
from normexp.training.evaluate import logits
from normexp.training.trainer import Trainer

OVERRIDES = ["depth=6,12,18"]


def train(config: Config) -> list[tuple[float, dict[str, float]]]:
    """Loss and gradient norms of every step."""
    trainer = Trainer(config, load_corpus(config.data)).calibrate()
    model, log = trainer.model, []
    optimizer = torch.optim.Adam(model.parameters(), **config.optimizer.options)
    for step, batch in enumerate(islice(trainer.data(), config.steps), 1):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * trainer.rate(step)
        optimizer.zero_grad()
        scores = logits(model, batch)
        loss = F.cross_entropy(scores.flatten(0, -2), batch.labels.flatten(), ignore_index=IGNORE)
        loss.backward()
        norms = {name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
        log.append((loss.item(), norms))
    return log


def main(overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-m", "normexp", "sweep", *overrides]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sweep = time.perf_counter() - start
    start = time.perf_counter()
    for run in plan("sweep", overrides).runs:
        train(run.config)
    plain = time.perf_counter() - start
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads\n"
    )
    print("| | seconds | ratio |\n|---|---|---|")
    print(f"| `normexp sweep {' '.join(overrides)}` | {sweep:.0f} | 1 |")
    print(f"| plain script | {plain:.0f} | {plain / sweep:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:] or OVERRIDES)
