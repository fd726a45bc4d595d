"""How many seeds a study gets: those of its YAML, another number, or more at each look until its claims are decided."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from normexp.errors import ConfigError
from normexp.studies.claim import Claim
from normexp.studies.study import Part, Runs, Study
from normexp.studies.verdict import MINIMUM, Verdict, level_of

RANGE = re.compile(r"range\((?:(\d+), ?)?(\d+)\)")
FEWEST = 2


@dataclass(frozen=True)
class Seeds:
    """The numbers of seeds at which a study is judged, in order; 0 means those of its YAML.

    exactly: whether a number replaces a larger one of the YAML too. Several looks only add seeds, and only to the parts
    that undecided claims read.
    """

    looks: tuple[int, ...] = (0,)
    exactly: bool = True

    def summary(self, last: int) -> str:
        """For the report: the looks, the last one that was made, and their level; "" for a single look."""
        if len(self.looks) == 1:
            return ""
        return (
            f"Verdicts were asked for at {', '.join(map(str, self.looks))} seeds while a confirmatory claim was left "
            f"undecided, the last time at {last}. Intervals have a level of {level_of(len(self.looks)):.1%} each, so "
            "that all looks together are wrong in at most 5 %; a decided claim keeps its verdict and its values."
        )


AS_WRITTEN = Seeds()


def chosen(seeds: int | None, until_decided: bool, at_most: int | None) -> Seeds:
    """What the options of the command mean. Raises ConfigError where they contradict each other or are too small."""
    if until_decided and seeds is not None:
        raise ConfigError("--seeds and --until-decided cannot be used together; choose one")
    if at_most is not None and not until_decided:
        raise ConfigError("--at-most is only used by --until-decided; add it or remove --at-most")
    if seeds is not None and seeds < FEWEST:
        raise ConfigError(f"--seeds must be at least {FEWEST}; got {seeds}")
    if not until_decided:
        return Seeds((seeds or 0,))
    most = 20 if at_most is None else at_most
    if most < MINIMUM:
        raise ConfigError(f"--at-most must be at least {MINIMUM}, the fewest seeds with a verdict; got {most}")
    return Seeds(looks(most), exactly=False)


def looks(most: int) -> tuple[int, ...]:
    """5, 10, 20, …: the fewest seeds with a verdict, doubled until `most`, which is the last."""
    counts = [MINIMUM]
    while counts[-1] < most:
        counts.append(min(2 * counts[-1], most))
    return tuple(counts)


def with_seeds(part: Part, count: int, seeds: Seeds, study: Study) -> Part:
    """The part with this many seeds from its first on, or as it is if `count` is 0 or it has a single seed."""
    listed, count = seeds_of(part), count * study.sets.get(part.grid, 1)
    if len(listed) < 2 or not count or (not seeds.exactly and len(listed) >= count):
        return part
    return replace(part, seeds=f"range({listed[0]},{listed[0] + count})")


def seeds_of(part: Part) -> Sequence[int]:
    """The seeds that a part lists: range(5), range(200,210) or 1,2; none where it leaves them to the default."""
    text = dict(line.split("=", 1) for line in part.line if "=" in line).get("seed", "")
    if found := RANGE.fullmatch(text):
        return range(int(found[1] or 0), int(found[2]))
    return [int(seed) for seed in text.split(",") if seed.strip().isdigit()]


@dataclass(frozen=True)
class Judged:
    """A study's parts and runs, and its claims, at the last number of seeds that was asked for."""

    parts: Mapping[str, Part]
    runs: Mapping[str, Runs]
    claims: list[Claim]
    last: int


def look(study: Study, seeds: Seeds, bring: Callable[[], tuple[Mapping[str, Part], Mapping[str, Runs]]]) -> Judged:
    """Judge a study at every number of seeds, until no confirmatory claim is left of which the runs cannot tell.

    bring: the study's parts and runs, by its plan as it is then. A claim that is decided keeps its verdict and its
    values, because the error rate of its look is spent; only parts that an undecided one reads get more seeds.
    """
    decided: dict[str, Claim] = {}
    growing = frozenset(study.parts)
    judged = None
    for count in seeds.looks:
        grown = {name: with_seeds(study.parts[name], count, seeds, study) for name in study.parts if name in growing}
        if judged and grown.items() <= study.parts.items():
            continue  # those have as many already
        study.parts = {**study.parts, **grown}
        parts, runs = bring()
        claims = [decided.get(claim.name, claim) for claim in study.claims(runs, looks=len(seeds.looks))]
        decided |= {claim.name: claim for claim in claims if claim.verdict in (Verdict.HOLDS, Verdict.FAILS)}
        judged = Judged(parts, runs, claims, count)
        undecided = [claim for claim in claims if claim.confirmatory and claim.verdict == Verdict.UNDECIDED]
        growing = frozenset(parts[run].grid for claim in undecided for run in claim.reads)
    assert judged is not None
    return judged
