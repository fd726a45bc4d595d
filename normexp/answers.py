"""What the finished runs in a folder answer to the same texts, as `normexp sample` prints it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from normexp.errors import ConfigError
from normexp.library import load
from normexp.training.ask import Answer, Question, answer, questions_from_test, questions_of
from normexp.views import formatting
from normexp.views.runs import load_runs, swept_keys

MOST_RUNS = 20
ALONE = "written"  # what the answer of a single run is called


@dataclass(frozen=True)
class Asked:
    """A question and its answers by the name of the run."""

    question: Question
    written: dict[str, Answer] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """The question, the reference where there is one, every answer; ✓ marks one that is the reference."""
        rows = {"given": self.question.given}
        rows |= {"expected": self.question.expected} if self.question.expected else {}
        rows |= {name: f"{each.text or '(nothing)'}{' ✓' * each.exact}" for name, each in self.written.items()}
        width = max(map(len, rows))
        for name, text in rows.items():
            yield f"{name:<{width}}  {text if text.isprintable() else repr(text)}".rstrip()
        if self.question.unknown:
            yield f"{'':<{width}}  ({self.question.unknown} of {len(self.question.ids)} tokens given are unknown)"


def ask(folder: Path, texts: Sequence[str], count: int, tokens: int, *, trust: bool = False) -> list[Asked]:
    """What the completed runs at or below a folder answer to these texts, or to `count` texts of their test part.

    tokens: at most in a continuation. trust: see normexp.load.
    Raises ConfigError where there is no completed run, more than MOST_RUNS, or runs of different data or tasks.
    """
    frame = load_runs(folder)
    done = frame[frame["state"] == "completed"]
    if done.empty:
        raise ConfigError(f"RUN must have a completed run; {folder} has none")
    if len(done) > MOST_RUNS:
        raise ConfigError(f"RUN must be one run, or a folder of at most {MOST_RUNS}; {folder} has {len(done)}")
    if any(done[key].nunique(dropna=False) > 1 for key in ("task", "data")):
        raise ConfigError(f"the runs in {folder} must have the same task and data; name one of them as RUN")
    keys = [key for key in swept_keys(done) if done[key].nunique(dropna=False) > 1]
    asked: list[Asked] = []
    about = None
    for run in done.to_dict("records"):
        loaded = load(run["folder"], trust=trust)
        task = loaded.config.task.name
        if about is None:
            about = (loaded.corpus.digest, task)
            made = questions_of(loaded.corpus, texts, tokens) or questions_from_test(loaded.corpus, task, count)
            asked = [Asked(question) for question in made]
        if about != (loaded.corpus.digest, task):
            raise ConfigError(f"the runs in {folder} must have the same task and data; name one of them as RUN")
        name = ", ".join(formatting.setting(key, run[key]) for key in keys) or ALONE
        for each in asked:
            each.written[name] = answer(loaded.model, loaded.corpus, each.question)
    return asked
