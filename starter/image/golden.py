"""Writes a golden case of the exported model, for `golden-check`: golden.py WORK

WORK/case is a prompt, a noise and what torch makes of them with WORK/model: beside that model's files
the worker must give the same ids, embeddings, latents and pixels.
"""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, T5EncoderModel

import networks
import tokens
from scenes import SIDE

PROMPT, STEPS = "A red house left of a big blue cat, pixel art.", 4


def main():
    work = pathlib.Path(sys.argv[1])
    out = work / "case"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    model = work / "model"
    clip = CLIPTextModel.from_pretrained(model / "text_encoder").float().eval()
    t5 = T5EncoderModel.from_pretrained(model / "text_encoder_2").float().eval()
    weights = "diffusion_pytorch_model.safetensors"
    transformer = networks.Transformer(networks.TRANSFORMER_CONFIG)
    transformer.load_state_dict(load_file(model / "transformer" / weights))
    vae_config = json.loads((model / "vae" / "config.json").read_text())
    vae = networks.Vae(vae_config)
    vae.load_state_dict(load_file(model / "vae" / weights))
    clip_ids, t5_ids = tokens.Tokenizers(model).ids(PROMPT)
    noise = torch.randn((1, 16, SIDE // 8, SIDE // 8), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        states = t5(input_ids=torch.tensor([t5_ids])).last_hidden_state
        pooled = clip(input_ids=torch.tensor([clip_ids])).pooler_output
        latents = noise
        for step in range(STEPS):
            sigma = torch.full((1,), 1 - step / STEPS)
            latents = latents - transformer(latents, sigma, states, pooled) / STEPS
        image = vae.decode(latents / vae_config["scaling_factor"] + vae_config["shift_factor"])
    image = (image / 2 + 0.5).clamp(0, 1)
    half = SIDE // 16
    packed = latents.reshape(1, 16, half, 2, half, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, half * half, 64)
    io = {"in.latents_unpacked": noise, "out.clip_ids": torch.tensor([clip_ids], dtype=torch.int32),
          "out.t5_ids": torch.tensor([t5_ids], dtype=torch.int32), "out.prompt_embeds": states,
          "out.pooled_prompt_embeds": pooled, "out.latents_packed": packed, "out.image": image,
          "out.image_u8_hwc": (255 * image[0].permute(1, 2, 0)).round().to(torch.uint8)}
    save_file({name: value.contiguous() for name, value in io.items()}, str(out / "io.safetensors"))
    prompts = {"prompt": PROMPT, "width": SIDE, "height": SIDE, "steps": STEPS,
               "guidance_scale": 0.0, "max_sequence_length": tokens.T5_TOKENS}
    (out / "prompts.json").write_text(json.dumps(prompts, indent=1))
    case = {"case": "starter_image", "kind": "pipeline_from_text",
            "max_abs_error": {"embeddings": 5e-4, "latents": 2e-3, "image": 4e-3, "u8": 2}}
    (out / "case.json").write_text(json.dumps(case, indent=1))


if __name__ == "__main__":
    main()
