"""A comparison whose answer is known: the same variant on two sets of seeds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from normexp.studies.declare import Values, claim
from normexp.studies.statistics import finals, reducible
from normexp.studies.windows import at_least

if TYPE_CHECKING:
    from normexp.studies.study import Study


class Control:
    """For a study whose part `control` trains Pre-LN on ten seeds. The runs must not tell its halves apart."""

    sets: ClassVar[Mapping[str, int]] = {"control": 2}

    @claim(
        "A/A control",
        "final loss: five seeds − five others, as a share of source-blind loss − floor",
        at_least(0, "control", "theory"),
        own=True,
    )
    def control(self: "Study") -> Values:
        """Pre-LN ends at a higher loss on one set of seeds than on another."""
        frame = self.runs["control"].frame
        losses = finals(frame, variant="pre_ln").to_numpy()
        half = len(losses) // 2
        return [(a - b) / reducible(frame) for a, b in zip(losses[:half], losses[half:], strict=True)]
