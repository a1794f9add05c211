"""The networks, under the names that published models of this kind use for their tensors, so that
the exported folder is an ordinary FLUX.1 schnell folder. The text encoders are transformers' own.

Shapes: B pictures, C latent channels, H by W latent points (an eighth of the picture's), T tokens.
"""
import math

import torch
from torch import nn
from torch.nn import functional

VAE_CONFIG = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [16, 32, 64, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "force_upcast": False,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 16,
    "layers_per_block": 1,
    "mid_block_add_attention": True,
    "norm_num_groups": 8,
    "sample_size": 128,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}
TRANSFORMER_CONFIG = {
    "_class_name": "FluxTransformer2DModel",
    "attention_head_dim": 32,
    "axes_dims_rope": [8, 12, 12],
    "guidance_embeds": False,
    "in_channels": 64,
    "joint_attention_dim": 192,
    "num_attention_heads": 4,
    "num_layers": 2,
    "num_single_layers": 4,
    "patch_size": 1,
    "pooled_projection_dim": 96,
}
CLIP_CONFIG = dict(hidden_size=96, intermediate_size=192, num_attention_heads=3, num_hidden_layers=2,
                   projection_dim=96, max_position_embeddings=77, hidden_act="quick_gelu")
T5_CONFIG = dict(d_model=192, d_kv=32, d_ff=384, num_heads=6, num_layers=3,
                 feed_forward_proj="gated-gelu", dropout_rate=0.0, is_encoder_decoder=False,
                 use_cache=False, tie_word_embeddings=True)


class Resnet(nn.Module):
    def __init__(self, inputs, outputs, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps=1e-6)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, outputs, eps=1e-6)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x):
        y = self.conv1(functional.silu(self.norm1(x)))
        y = self.conv2(functional.silu(self.norm2(y)))
        return y + (self.conv_shortcut(x) if self.conv_shortcut else x)


def attention(q, k, v):
    """[..., T, head] each. Written out: torch's fused one is slow at few tokens on a processor."""
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    return scores.float().softmax(dim=-1).type_as(v) @ v


class PixelAttention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x):
        b, c, h, w = x.shape
        y = self.group_norm(x).reshape(b, c, h * w).transpose(1, 2)
        y = attention(self.to_q(y), self.to_k(y), self.to_v(y))
        return x + self.to_out[0](y).transpose(1, 2).reshape(b, c, h, w)


class Middle(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.attentions = nn.ModuleList([PixelAttention(channels, groups)])
        self.resnets = nn.ModuleList([Resnet(channels, channels, groups) for _ in range(2)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Resample(nn.Module):
    """Half the side, or twice."""

    def __init__(self, channels, down):
        super().__init__()
        self.down = down
        self.conv = nn.Conv2d(channels, channels, 3, stride=2 if down else 1, padding=0 if down else 1)

    def forward(self, x):
        if self.down:
            return self.conv(functional.pad(x, (0, 1, 0, 1)))
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    def __init__(self, inputs, outputs, layers, groups, resample):
        super().__init__()
        self.resnets = nn.ModuleList(
            [Resnet(inputs if i == 0 else outputs, outputs, groups) for i in range(layers)])
        if resample == "down":
            self.downsamplers = nn.ModuleList([Resample(outputs, True)])
        if resample == "up":
            self.upsamplers = nn.ModuleList([Resample(outputs, False)])

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        for resample in getattr(self, "downsamplers", getattr(self, "upsamplers", ())):
            x = resample(x)
        return x


class Coder(nn.Module):
    """The encoder, or the decoder, of pictures."""

    def __init__(self, config, encodes):
        super().__init__()
        channels, groups = config["block_out_channels"], config["norm_num_groups"]
        layers, latent = config["layers_per_block"], config["latent_channels"]
        last = len(channels) - 1
        self.mid_block = Middle(channels[-1], groups)
        if encodes:
            self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
            self.down_blocks = nn.ModuleList(
                [Level(channels[max(i - 1, 0)], c, layers, groups, "down" if i < last else "")
                 for i, c in enumerate(channels)])
        else:
            self.conv_in = nn.Conv2d(latent, channels[-1], 3, padding=1)
            upward = channels[::-1]
            self.up_blocks = nn.ModuleList(
                [Level(upward[max(i - 1, 0)], c, layers + 1, groups, "up" if i < last else "")
                 for i, c in enumerate(upward)])
        end = channels[-1] if encodes else channels[0]
        self.conv_norm_out = nn.GroupNorm(groups, end, eps=1e-6)
        self.conv_out = nn.Conv2d(end, 2 * latent if encodes else 3, 3, padding=1)
        self.encodes = encodes

    def forward(self, x):
        x = self.conv_in(x)
        if self.encodes:
            for level in self.down_blocks:
                x = level(x)
            x = self.mid_block(x)
        else:
            x = self.mid_block(x)
            for level in self.up_blocks:
                x = level(x)
        return self.conv_out(functional.silu(self.conv_norm_out(x)))


class Vae(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.encoder, self.decoder = Coder(config, True), Coder(config, False)

    def encode(self, pictures):
        """[B, 3, 8H, 8W] in -1..1 -> mean and log variance, each [B, C, H, W]."""
        mean, spread = self.encoder(pictures).chunk(2, dim=1)
        return mean, spread.clamp(-30, 20)

    def decode(self, latents):
        return self.decoder(latents)


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return functional.rms_norm(x, self.weight.shape, self.weight, 1e-6)


def rope_table(config, text_tokens, height, width):
    """Cosines and sines [tokens, head / 2] of the text (at 0, 0, 0), then of the latent patches."""
    rows = torch.arange(height, dtype=torch.float64).repeat_interleave(width)
    columns = torch.arange(width, dtype=torch.float64).repeat(height)
    grid = torch.stack([torch.zeros_like(rows), rows, columns], dim=1)
    at = torch.cat([torch.zeros(text_tokens, 3, dtype=torch.float64), grid])
    angles = []
    for axis, size in enumerate(config["axes_dims_rope"]):
        rate = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
        angles.append(at[:, axis:axis + 1] * rate)
    angles = torch.cat(angles, dim=1)
    return angles.cos().float(), angles.sin().float()


def turn(x, table):
    """Turns the pairs of the last axis of [B, heads, T, head] by the table's angles."""
    cosines, sines = table
    pairs = x.float().unflatten(-1, (-1, 2))
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = torch.stack([even * cosines - odd * sines, odd * cosines + even * sines], dim=-1)
    return turned.flatten(-2).type_as(x)


def attend(q, k, v, table):
    y = attention(turn(q, table), turn(k, table), v)
    return y.transpose(1, 2).flatten(2)


class Modulation(nn.Module):
    """So many shifts, scales and gates from the picture's state; `linear` is the published name."""

    def __init__(self, width, number):
        super().__init__()
        self.linear = nn.Linear(width, number * width)
        self.number = number

    def forward(self, state):
        return self.linear(functional.silu(state))[:, None].chunk(self.number, dim=2)


class FeedForward(nn.Module):
    class Rise(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.proj = nn.Linear(width, 4 * width)

        def forward(self, x):
            return functional.gelu(self.proj(x), approximate="tanh")

    def __init__(self, width):
        super().__init__()
        self.net = nn.ModuleList([self.Rise(width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Heads(nn.Module):
    """The projections of attention; with `context`, those of the second stream too."""

    def __init__(self, width, head, context):
        super().__init__()
        self.head = head
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.norm_q, self.norm_k = RmsNorm(head), RmsNorm(head)
        if context:
            self.add_q_proj, self.add_k_proj, self.add_v_proj = (nn.Linear(width, width)
                                                                 for _ in range(3))
            self.norm_added_q, self.norm_added_k = RmsNorm(head), RmsNorm(head)
            self.to_out = nn.ModuleList([nn.Linear(width, width)])
            self.to_add_out = nn.Linear(width, width)

    def split(self, x):
        return x.unflatten(2, (-1, self.head)).transpose(1, 2)

    def own(self, x):
        return (self.norm_q(self.split(self.to_q(x))), self.norm_k(self.split(self.to_k(x))),
                self.split(self.to_v(x)))

    def added(self, x):
        return (self.norm_added_q(self.split(self.add_q_proj(x))),
                self.norm_added_k(self.split(self.add_k_proj(x))), self.split(self.add_v_proj(x)))


def normed(x, shift, scale):
    return functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class DoubleBlock(nn.Module):
    def __init__(self, width, head):
        super().__init__()
        self.norm1, self.norm1_context = Modulation(width, 6), Modulation(width, 6)
        self.attn = Heads(width, head, True)
        self.ff, self.ff_context = FeedForward(width), FeedForward(width)

    def forward(self, x, text, state, table):
        own, added = self.norm1(state), self.norm1_context(state)
        one = self.attn.added(normed(text, added[0], added[1]))
        two = self.attn.own(normed(x, own[0], own[1]))
        y = attend(*(torch.cat(pair, dim=2) for pair in zip(one, two)), table)
        said, seen = y[:, :text.shape[1]], y[:, text.shape[1]:]
        x = x + own[2] * self.attn.to_out[0](seen)
        x = x + own[5] * self.ff(normed(x, own[3], own[4]))
        text = text + added[2] * self.attn.to_add_out(said)
        text = text + added[5] * self.ff_context(normed(text, added[3], added[4]))
        return x, text


class SingleBlock(nn.Module):
    def __init__(self, width, head):
        super().__init__()
        self.norm = Modulation(width, 3)
        self.attn = Heads(width, head, False)
        self.proj_mlp = nn.Linear(width, 4 * width)
        self.proj_out = nn.Linear(5 * width, width)

    def forward(self, x, state, table):
        shift, scale, gate = self.norm(state)
        y = normed(x, shift, scale)
        attended = attend(*self.attn.own(y), table)
        risen = functional.gelu(self.proj_mlp(y), approximate="tanh")
        return x + gate * self.proj_out(torch.cat([attended, risen], dim=2))


class Embedding(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inputs, width), nn.Linear(width, width)

    def forward(self, x):
        return self.linear_2(functional.silu(self.linear_1(x)))


class State(nn.Module):
    """The time and the pooled text as one vector."""

    def __init__(self, pooled, width):
        super().__init__()
        self.timestep_embedder, self.text_embedder = Embedding(256, width), Embedding(pooled, width)

    def forward(self, sigma, pooled):
        rate = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
        angles = 1000 * sigma[:, None] * rate
        waves = torch.cat([angles.cos(), angles.sin()], dim=1)
        return self.timestep_embedder(waves) + self.text_embedder(pooled)


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        head = config["attention_head_dim"]
        width = head * config["num_attention_heads"]
        self.config = config
        self.time_text_embed = State(config["pooled_projection_dim"], width)
        self.context_embedder = nn.Linear(config["joint_attention_dim"], width)
        self.x_embedder = nn.Linear(config["in_channels"], width)
        self.transformer_blocks = nn.ModuleList(
            [DoubleBlock(width, head) for _ in range(config["num_layers"])])
        self.single_transformer_blocks = nn.ModuleList(
            [SingleBlock(width, head) for _ in range(config["num_single_layers"])])
        self.norm_out = Modulation(width, 2)
        self.proj_out = nn.Linear(width, config["in_channels"])
        self.tables = {}

    def forward(self, latents, sigma, context, pooled, look=None):
        """The flow [B, C, H, W] at the latents [B, C, H, W] and sigma [B] in 0..1. With `look` also
        what it makes of the patches [B, HW / 4, width] after the blocks of two streams."""
        b, c, h, w = latents.shape
        size = (context.shape[1], h // 2, w // 2)
        if size not in self.tables:
            self.tables[size] = rope_table(self.config, *size)
        table = self.tables[size]
        patches = latents.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5)
        x = self.x_embedder(patches.reshape(b, size[1] * size[2], c * 4))
        text = self.context_embedder(context)
        state = self.time_text_embed(sigma, pooled)
        for block in self.transformer_blocks:
            x, text = block(x, text, state, table)
        seen = look(x) if look else None
        x = torch.cat([text, x], dim=1)
        for block in self.single_transformer_blocks:
            x = block(x, state, table)
        scale, shift = self.norm_out(state)
        x = self.proj_out(normed(x[:, text.shape[1]:], shift, scale))
        x = x.reshape(b, size[1], size[2], c, 2, 2).permute(0, 3, 1, 4, 2, 5)
        flow = x.reshape(b, c, h, w)
        return (flow, seen) if look else flow
