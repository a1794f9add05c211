"""Writes the trained model as a folder in the published layout of FLUX.1 schnell, in bf16."""
import hashlib
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file

import networks

SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 1.0,
    "use_dynamic_shifting": False, "base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
}
INDEX = {
    "_class_name": "FluxPipeline",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def _part(folder, file, config, state):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    kept = {name: weight.to(torch.bfloat16).contiguous() for name, weight in state.items()
            if not name.endswith("position_ids")}
    save_file(kept, str(folder / file), metadata={"format": "pt"})


def export(work):
    """WORK/model, whole or not at all."""
    import train
    model = train.trained_model(work)
    facts = json.loads((work.folder / "latents.json").read_text())
    out, part = work.folder / "model", work.folder / "model.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    weights = "diffusion_pytorch_model.safetensors"
    _part(part / "transformer", weights, networks.TRANSFORMER_CONFIG,
          model["transformer"].state_dict())
    vae_config = networks.VAE_CONFIG | {"scaling_factor": facts["scale"], "shift_factor": facts["shift"]}
    _part(part / "vae", weights, vae_config, train.trained_vae(work).state_dict())
    for folder, name in (("text_encoder", "clip"), ("text_encoder_2", "t5")):
        config = model[name].config.to_diff_dict() | model[name].config.to_dict()
        state = model[name].state_dict()
        if name == "clip":
            state = {"text_model." + k.removeprefix("text_model."): v for k, v in state.items()}
        else:
            state.pop("encoder.embed_tokens.weight", None)  # the same tensor as `shared`
        _part(part / folder, "model.safetensors", config, state)
    for folder in ("tokenizer", "tokenizer_2"):
        shutil.copytree(work.folder / folder, part / folder)
    (part / "scheduler").mkdir()
    (part / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER, indent=1))
    (part / "model_index.json").write_text(json.dumps(INDEX, indent=1))
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    files = sorted(p for p in out.rglob("*") if p.is_file())
    digest = hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in files)).hexdigest()
    work.log(stage="export", bytes=sum(p.stat().st_size for p in files), sha256=digest)
