"""Baselines of data whose distribution nobody knows: counted on the training part, measured on the validation part."""

from normexp.data.baselines import class_prior
from normexp.data.examples import Examples, Ragged
from normexp.data.ngrams import NAMES, held_out

ORDER = 4  # tokens of context of the longest n-gram
COUNTED = 2_000_000  # tokens of the training part: more cost memory and change the third digit
MEASURED = 500_000  # tokens of the validation part


def estimates(task: str, train: Examples, valid: Examples, vocabulary: int) -> tuple[dict[str, float], dict[str, str]]:
    """The baselines of a corpus by name, in nats, and how blind and floor were found.

    vocabulary: how many tokens there are. The floor is unknown, so it is 0.
    """
    methods = {"floor": "unknown, so it is 0"}
    if not isinstance(train.targets, Ragged) or not isinstance(valid.targets, Ragged):
        prior = class_prior(train.targets.tolist())  # type: ignore[union-attr]
        methods["blind"] = "exact: the entropy of the classes in the training part"
        return {"class_prior": prior, "blind": prior, "floor": 0.0}, methods
    counted, measured = train.targets.sample(COUNTED), valid.targets.sample(MEASURED)
    losses = held_out(counted, measured, vocabulary, ORDER)
    some = "" if counted is train.targets else f" (a sample of {len(counted.flat):,} tokens)"
    where = f"counted on the training part{some} and measured on the validation part"
    if task == "language_modelling":
        blind = min(losses["unigram"], losses["position_only"])
        methods["blind"] = f"estimate: the smaller of unigram and position-only, {where}"
    else:
        best = min(losses, key=lambda name: losses[name])
        blind = losses[best]
        methods["blind"] = f"estimate: the best n-gram of up to {ORDER} tokens of context, {best}, {where}"
        losses = {name: losses[name] for name in ("unigram", "position_only", NAMES[1])}
    return losses | {"blind": blind, "floor": 0.0}, methods
