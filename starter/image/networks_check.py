"""Checks the networks against the golden cases of the tree: networks_check.py GOLDEN_FOLDER

The flow's tensors come from a published implementation; ours must give the same numbers.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file

import networks


def check(name, got, wanted):
    off = (got - wanted).abs().max().item()
    print(f"{name}: off by at most {off:.1e}")
    return off < 1e-4


def main():
    golden, good = pathlib.Path(sys.argv[1]), True
    folder = golden / "flux_schnell"
    config, io = json.loads((folder / "config.json").read_text()), load_file(folder / "io.safetensors")
    net = networks.Transformer(config)
    net.load_state_dict(load_file(folder / "model.safetensors"))
    patches = io["in.hidden_states"]  # [B, 15, c * 4] of a grid of 3 by 5
    b, channels = patches.shape[0], patches.shape[2] // 4
    latents = patches.reshape(b, 3, 5, channels, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(b, channels, 6, 10)
    with torch.no_grad():
        flow = net(latents, io["in.timestep"], io["in.encoder_hidden_states"],
                   io["in.pooled_projections"])
    flow = flow.reshape(b, channels, 3, 2, 5, 2).permute(0, 2, 4, 1, 3, 5).reshape(patches.shape)
    good &= check("flux_schnell", flow, io["out.sample"])
    folder = golden / "vae_flux"
    config, io = json.loads((folder / "config.json").read_text()), load_file(folder / "io.safetensors")
    vae = networks.Vae(config)
    vae.load_state_dict(load_file(folder / "model.safetensors"))
    with torch.no_grad():
        good &= check("vae_flux mean", vae.encode(io["in.image"])[0], io["out.mean"])
        good &= check("vae_flux decoded", vae.decode(io["in.latent"]), io["out.decoded"])
    sys.exit(not good)


if __name__ == "__main__":
    main()
