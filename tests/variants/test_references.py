"""Every variant of configs/variant computes the equation of its paper, by an independent reference."""

import pytest

from normexp.config.choice import Choice
from normexp.config.compose import Composer
from normexp.config.schema import TASKS
from tests.support.models import node
from tests.support.references.comparison import MUTATIONS, REFERENCES, close, outputs

VARIANTS = sorted(Composer("train").options("variant"))


def test_every_variant_that_cites_has_a_reference():
    """A variant without a paper has nothing to be compared with; its golden numbers hold it."""
    cited = {name for name in VARIANTS if Choice.of("variant", node(name)).cls.paper}
    assert cited <= set(REFERENCES) <= set(VARIANTS)
    assert set(MUTATIONS) == set(REFERENCES)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_the_forward_is_the_papers(name, task):
    for ours, theirs in outputs(name, task, REFERENCES[name]):
        assert close(ours, theirs)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_a_mutation_is_seen(name):
    """A reference with one deliberate mistake differs, so the comparison is sharp enough."""
    assert not any(close(ours, theirs) for ours, theirs in outputs(name, "translation", MUTATIONS[name]))
