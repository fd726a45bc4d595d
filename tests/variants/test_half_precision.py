"""Under autocast the residual stream of every variant stays in float32: only branches are computed in less."""

import pytest
import torch

from tests.support.models import model_of

MIXING = ["dense_former", "dlcl_pre", "dlcl_post", "static_hyper_connections", "hyper_connections", "mhc", "mhc_lite"]


@pytest.mark.parametrize("variant", [*MIXING, "frac_connections", "pre_ln", "x0_lambdas"])
def test_a_stream_without_branches_is_not_rounded(variant):
    model = model_of(variant, task="language_modelling").eval()
    for stack in model.stacks:
        for site in stack.sites:
            for each in site.sublayer.parameters():
                torch.nn.init.zeros_(each)
    tokens = torch.arange(12).reshape(2, 6)
    traces = []
    for enabled in (False, True):
        trace: dict[str, torch.Tensor] = {}
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            model(tokens, None, tokens, trace)
        traces.append({name: each for name, each in trace.items() if name.endswith("/stream")})
    exact, half = traces
    assert exact
    for name, stream in half.items():
        assert stream.dtype == torch.float32
        torch.testing.assert_close(stream, exact[name], rtol=1e-6, atol=1e-6)
