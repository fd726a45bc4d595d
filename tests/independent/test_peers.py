"""scripts/peers.py: all packages take the same steps, and their models have the same parts."""

import runpy
from pathlib import Path

import pytest
import torch

from normexp.data.batches import Batch

SCRIPT = Path(__file__).parents[2] / "scripts" / "peers.py"
IGNORED = "ignore:enable_nested_tensor:UserWarning"  # torch.nn.Transformer in Pre-LN always says it
TOKENS, WORDS, WIDTH = 5, 20, 16


@pytest.fixture(scope="module")
def peers():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def batch():
    source, target = torch.randint(4, WORDS, (2, 3, TOKENS), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, TOKENS, dtype=torch.bool)
    mask[0, -2:] = False
    return Batch(source, mask, target, target, 3 * TOKENS)


@pytest.mark.slow
@pytest.mark.filterwarnings(IGNORED)
@pytest.mark.parametrize("name", ["torch.nn.Transformer", "transformers MBart", "x-transformers"])
def test_peers_are_decoders_that_read_the_source(peers, batch, name):
    """A later target token and a masked source token change no score, a real source token changes all."""
    torch.manual_seed(0)
    model = peers["PEERS"][name](WORDS, WIDTH).eval()
    with torch.no_grad():
        scores = model(batch)
        assert scores.shape == (3, TOKENS, WORDS)
        batch.target[:, -1] = 4 + (batch.target[:, -1] - 3) % (WORDS - 4)
        torch.testing.assert_close(model(batch)[:, :-1], scores[:, :-1])
        batch.source[0, -1] = 4 + (batch.source[0, -1] - 3) % (WORDS - 4)
        torch.testing.assert_close(model(batch)[:, :-1], scores[:, :-1])
        batch.source[0, 0] = 4 + (batch.source[0, 0] - 3) % (WORDS - 4)
        assert (model(batch)[0] - scores[0]).abs().amax(-1).min() > 1e-6


@pytest.mark.slow
@pytest.mark.filterwarnings(IGNORED)
def test_all_of_them_take_every_step(peers):
    times = peers["race"](WIDTH, 2)
    assert set(times) == {"normexp", *peers["PEERS"]}
    assert all(len(own) == 2 and min(own) > 0 for own in times.values())
    cells = peers["row"](WIDTH, 1, {name: [3.0, 3.0] for name in peers["PEERS"]} | {"normexp": [2.0, 2.0]})
    assert cells == "| 16 | 1 | 2000.0 |" + 3 * " 1.50 [1.50, 1.50] |"
