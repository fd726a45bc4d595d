"""A corpus in a few lines: where it came from, how many rows each split has and what was left out."""

from collections.abc import Iterator, Mapping
from typing import Any

from normexp.data.corpus import Corpus


def describe_data(corpus: Corpus, task: str) -> Iterator[str]:
    """Splits, tokens, methods (for a task) and origin of a corpus, a line each."""
    known = corpus.summary
    tokens = known["tokens"]
    kind = f"tokens ({tokens['kind']})" if "kind" in tokens else "tokens"
    length = f" · {tokens['characters']:.2f} characters a token" if tokens.get("characters", 1) != 1 else ""
    classes = f" · {len(corpus.classes)} classes" if corpus.classes else ""
    yield f"Data: {' · '.join(_split(name, split) for name, split in known['splits'].items())}"
    yield f"  {tokens['vocabulary']:,} {kind}{length}{classes} · sha256 {corpus.digest}"
    yield from (f"  {name}: {how}" for name, how in corpus.methods_for(task).items())
    for name, value in {**known.get("origin", {}), **corpus.sources}.items():
        shown = ", ".join(f"{key} {inner}" for key, inner in value.items()) if isinstance(value, Mapping) else value
        if shown not in ("", None):
            yield f"  {name}: {shown}"


def _split(name: str, split: Mapping[str, Any]) -> str:
    """train 1,600 (2,000 read; 3 empty, 4 too long; 5 cut)"""
    parts = [f"{split['read']:,} read"] if "read" in split else []
    if dropped := split.get("dropped"):
        parts.append("left out: " + ", ".join(f"{count:,} {reason}" for reason, count in dropped.items()))
    if split.get("cut"):
        parts.append(f"{split['cut']:,} cut")
    return f"{name} {split['rows']:,}" + (f" ({'; '.join(parts)})" if parts else "")
