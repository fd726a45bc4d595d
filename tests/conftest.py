"""What many tests need: tokens for a small model."""

import pytest
import torch


@pytest.fixture
def tokens() -> dict[str, torch.Tensor]:
    """Sources of 7 tokens and targets of 5, the second source padded after its fourth token."""
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(4, 20, (3, 7), generator=generator)
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 4:] = False
    return {
        "source": source,
        "source_mask": mask,
        "target": torch.randint(4, 20, (3, 5), generator=generator),
    }
