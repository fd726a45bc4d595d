"""Multi-head attention over the tokens of the stream or over a memory."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from normexp.model.positions import INSIDE, linear_bias, rotate, slopes
from normexp.model.slots import Slots
from normexp.model.variant import Capture, Context, ignore
from normexp.norms import Norm


class Attention(nn.Module):
    """softmax(QKᵀ/√head_width) V, then an output projection (Vaswani et al. 2017).

    Query, key and value are three width × width matrices, drawn separately.
    causal: a token sees itself and the tokens before it; padding is at the end, so real tokens never see it.
    cross: keys and values come from the context's memory.
    persistent: the number of learned keys and values per head. They precede those of the tokens in the same softmax and
    every query sees them: a feed-forward with a softmax as its activation (Sukhbaatar et al. 2019, all-attention). Keys
    are multiplied by √head_width and values by √persistent, and are then N(0, 1) at the start, as in the authors' code
    (adaptive-span). Norms on keys and values act only on those of the tokens. Not included: adaptive span, relative
    positions.
    positions: rotary turns queries and keys, after their norms; alibi puts a bias on the logits. Both only between the
    tokens of one stream: not in cross-attention, and persistent keys have no position.
    Slots: input, whole_query, whole_key (before they are split into heads: batch, token, width), query, key, value,
    heads (all four: batch, head, token, head width), before_out, output.
    """

    slopes: Tensor  # of the bias of alibi, by head
    slots = ("input", "whole_query", "whole_key", "query", "key", "value", "heads", "before_out", "output")

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        inside: dict[str, nn.Module],
        *,
        causal: bool = False,
        cross: bool = False,
        persistent: int = 0,
        positions: str = "",
        biases: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal, self.cross, self.persistent = heads, dropout, causal, cross, persistent
        self.positions = positions if positions in INSIDE and not cross else ""
        if self.positions == "alibi":
            self.register_buffer("slopes", torch.tensor(slopes(heads), dtype=torch.float64), persistent=False)
        self.query = nn.Linear(width, width, biases)
        self.key = nn.Linear(width, width, biases)
        self.value = nn.Linear(width, width, biases)
        self.out = nn.Linear(width, width, biases)
        if persistent:
            self.persistent_key, self.persistent_value = (
                nn.Parameter(torch.empty(heads, persistent, width // heads)) for _ in range(2)
            )
        self.inside = Slots(self.slots, inside)
        for slot in ("query", "key", "value", "heads"):
            if isinstance(norm := inside.get(slot), Norm):  # where one that pools over tokens finds them and their mask
                norm.token_dim = 2
                norm.tokens = "memory_mask" if cross and slot in ("key", "value") else "mask"
        if isinstance(norm := inside.get("whole_key"), Norm) and cross:
            norm.tokens = "memory_mask"

    def forward(self, x: Tensor, context: Context, capture: Capture = ignore) -> Tensor:
        put = self.inside.put
        x = put("input", x)
        memory, real = x, None if self.causal else context.mask
        if self.cross:
            assert context.memory is not None, "cross-attention needs a memory"
            memory, real = context.memory, context.memory_mask
        query = put("query", self.split(put("whole_query", self.query(x))))  # batch, head, token, head width
        key = put("key", self.split(put("whole_key", self.key(memory))))
        if self.positions == "rotary":
            query, key = rotate(query), rotate(key)
        query, key = capture("query", query), capture("key", key)
        value = put("value", self.split(self.value(memory)))
        seen = None if real is None else real[:, None, None, :]
        bias = self.bias(query)
        # is_causal counts from the first key, which need not be a token's, and excludes a bias.
        causal = self.causal and not self.persistent and bias is None
        if self.causal and not causal:
            seen = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        if self.persistent:
            key = prepend_persistent(self.persistent_key * math.sqrt(key.shape[-1]), key)
            value = prepend_persistent(self.persistent_value * math.sqrt(self.persistent), value)
            seen = None if seen is None else F.pad(seen, (self.persistent, 0), value=True)
            bias = None if bias is None else F.pad(bias, (self.persistent, 0))
        if bias is not None:
            bias = bias if seen is None else bias.masked_fill(~seen, -math.inf)
        heads = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=seen if bias is None else bias,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
        )
        joined = put("heads", heads).transpose(1, 2).flatten(2)  # batch, token, width
        return put("output", self.out(put("before_out", joined)))

    def bias(self, query: Tensor) -> Tensor | None:
        """What is added to the logits of tokens; None where nothing is.   head, query, key"""
        return linear_bias(self.slopes, query.shape[-2], query) if self.positions == "alibi" else None

    def split(self, x: Tensor) -> Tensor:
        """batch, token, width → batch, head, token, head width"""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def prepend_persistent(persistent: Tensor, x: Tensor) -> Tensor:
    """The persistent vectors, then those of the tokens.   batch, head, persistent + token, head width"""
    return torch.cat([persistent.to(x.dtype).expand(len(x), -1, -1, -1), x], dim=2)
