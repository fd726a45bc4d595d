"""The figures of configs/TUTORIAL.md, by running its commands as they are written.

python scripts/tutorial.py [FOLDER]     trains in FOLDER (resumable), then writes results/reference/tutorial
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = (ROOT / "configs" / "TUTORIAL.md").read_text()
REFERENCE = ROOT / "results" / "reference" / "tutorial"
FIGURES = {
    "skip": "results/skip/figures/loss_curves",
    "no_residual": "no_residual",
    "gradients": "results/gradients/figures/gradient_norms",
    "norms": "results/norms/figures/loss_curves",
    "epsilon": "results/epsilon/figures/loss_curves",
    "positions": "results/positions/figures/probe_position_r2*",
    "half": "results/half/figures/loss_curves",
}


def commands() -> list[str]:
    """Those of the tutorial, in their order."""
    return [line for block in re.findall(r"```sh\n(.*?)```", TUTORIAL, re.DOTALL) for line in block.splitlines()]


def write_files(folder: Path) -> None:
    """Write the files that it has the reader write."""
    for name, content in re.findall(r"`(lab/[\w/.]+)`:\n\n```(?:python|yaml)\n(.*?)```", TUTORIAL, re.DOTALL):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def main(folder: Path) -> None:
    write_files(folder)
    for line in commands():
        print(f"$ {line}", flush=True)
        subprocess.run([sys.executable, "-m", *shlex.split(line)], cwd=folder, check=True)
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, pattern in FIGURES.items():
        for path in sorted(folder.glob(f"{pattern}.svg")) + sorted(folder.glob(f"{pattern}.png")):
            shutil.copy(path, REFERENCE / f"{name}{path.suffix}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
