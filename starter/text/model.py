"""A small llama: RMS norms, rotary positions, SwiGLU, embeddings shared with the output.

Rows of a batch hold several dialogues one after the other; `starts` says where each one begins, and
nothing looks across. Products run in bf16, norms, softmax and the loss in f32.
"""
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Shape:
    vocab: int = 2560
    width: int = 256
    layers: int = 6
    heads: int = 4
    hidden: int = 704
    context: int = 1024
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    def as_dict(self):
        return asdict(self)


def norm(x, weight, eps):
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps)).to(x.dtype) * weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Layer(nn.Module):

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.attention_norm = nn.Parameter(torch.ones(shape.width))
        self.qkv = nn.Parameter(torch.empty(3 * shape.width, shape.width))
        self.out = nn.Parameter(torch.empty(shape.width, shape.width))
        self.hidden_norm = nn.Parameter(torch.ones(shape.width))
        self.gate_up = nn.Parameter(torch.empty(2 * shape.hidden, shape.width))
        self.down = nn.Parameter(torch.empty(shape.width, shape.hidden))

    def forward(self, x, cos, sin, mask):
        rows, length, width = x.shape
        heads, size = self.shape.heads, width // self.shape.heads
        kind = x.dtype
        y = norm(x, self.attention_norm.to(kind), self.shape.norm_eps)
        q, k, v = F.linear(y, self.qkv.to(kind)).view(rows, length, 3, heads, size).unbind(2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        q, k, v = (t.transpose(1, 2).reshape(rows * heads, length, size) for t in (q, k, v))
        scores = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=size**-0.5)
        y = torch.bmm(torch.softmax(scores, dim=-1), v)
        y = y.view(rows, heads, length, size).transpose(1, 2).reshape(rows, length, width)
        x = x + F.linear(y, self.out.to(kind))
        y = norm(x, self.hidden_norm.to(kind), self.shape.norm_eps)
        gate, up = F.linear(y, self.gate_up.to(kind)).chunk(2, dim=-1)
        return x + F.linear(F.silu(gate) * up, self.down.to(kind))


class Model(nn.Module):

    def __init__(self, shape, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.shape = shape
        self.embedding = nn.Parameter(torch.randn(shape.vocab, shape.width) * 0.05)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.Parameter(torch.ones(shape.width))
        for name, weight in self.layers.named_parameters():
            if weight.dim() == 2:
                scale = 0.5 / shape.layers**0.5 if name.endswith(("out", "down")) else 1.0
                nn.init.normal_(weight, std=scale * weight.shape[1]**-0.5)

    def forward(self, ids, starts, kind=torch.bfloat16, targets=None):
        """ids, starts: [rows, length]; starts holds, for each place, where its dialogue began.

        With `targets` (-1: none) the mean loss over them, else the logits in f32.
        """
        rows, length = ids.shape
        places = torch.arange(length)
        size = self.shape.width // self.shape.heads
        turns = self.shape.rope_base**(-torch.arange(0, size, 2).float() / size)
        angles = (places - starts)[..., None].float() * turns
        cos, sin = angles.cos()[:, :, None].to(kind), angles.sin()[:, :, None].to(kind)
        seen = (places[None, :, None] >= places) & (places[None, None] >= starts[..., None])
        mask = torch.where(seen, 0.0, -30000.0).to(kind)
        mask = mask[:, None].expand(rows, self.shape.heads, length, length)
        mask = mask.reshape(rows * self.shape.heads, length, length)
        table = self.embedding.to(kind)
        x = F.embedding(ids, table)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        if targets is not None:
            wanted = targets >= 0
            x, targets = x[wanted], targets[wanted]
        x = norm(x, self.norm.to(kind), self.shape.norm_eps)
        logits = F.linear(x, table).float()
        return logits if targets is None else F.cross_entropy(logits, targets)
