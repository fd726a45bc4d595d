"""Multi-head attention over the stream itself or over a memory."""

import torch.nn.functional as F
from torch import Tensor, nn

from normexp.model.seam import Context, Note, unheard
from normexp.model.slots import Slots
from normexp.norms import Norm


class Attention(nn.Module):
    """softmax(QKᵀ/√head_width) V, then an output projection.   Vaswani et al. 2017

    Query, key and value are three width × width matrices, each drawn as its own.
    causal: a token sees itself and what stands before it; padding sits at the end, so real tokens never see it.
    cross: keys and values come from the context's memory.
    Slots: input, query, key, value, heads (all three: batch, head, token, head width), before_out, output.
    """

    slots = ("input", "query", "key", "value", "heads", "before_out", "output")

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        inside: dict[str, nn.Module],
        *,
        causal: bool = False,
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal, self.cross = heads, dropout, causal, cross
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.inside = Slots(self.slots, inside)
        for slot in ("query", "key", "value", "heads"):
            if isinstance(norm := inside.get(slot), Norm):  # one that pools over tokens must find them, and their mask
                norm.token_dim = 2
                norm.tokens = "memory_mask" if cross and slot in ("key", "value") else "mask"

    def forward(self, x: Tensor, context: Context, note: Note = unheard) -> Tensor:
        put = self.inside.put
        x = put("input", x)
        memory, mask = x, None if self.causal else context.mask
        if self.cross:
            assert context.memory is not None, "cross-attention needs a memory"
            memory, mask = context.memory, context.memory_mask
        query = note("query", put("query", self.split(self.query(x))))  # batch, head, token, head width
        key = note("key", put("key", self.split(self.key(memory))))
        value = put("value", self.split(self.value(memory)))
        heads = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if mask is None else mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
        )
        joined = put("heads", heads).transpose(1, 2).flatten(2)  # batch, token, width
        return put("output", self.out(put("before_out", joined)))

    def split(self, x: Tensor) -> Tensor:
        """batch, token, width → batch, head, token, head width"""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
