"""Trains the image model in stages, each resumable: train.py WORK [STAGE...]

  tokens   the two tokenizers
  vae      the coder of pictures
  latents  the scenes, as latents on disk
  words    the text encoders: to tell from a prompt what is where in its scene
  flow     the transformer, by flow matching
  export   the model's folder

WORK keeps checkpoints and log.jsonl (stage, step, loss, samples per second). Everything comes from
fixed seeds; the order of sums is not fixed, so two runs differ in the last digits.
"""
import copy
import datetime
import itertools
import json
import math
import os
import pathlib
import random
import statistics
import sys
import time

import numpy
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import networks
import tokens
from muon import Muon
from kinds import BACKGROUNDS, COLOURS, KINDS
from scenes import BACKGROUND_CHANNEL, SIDE, STYLES, describe, draw_scene, held_out, random_scene, sample

SIGMAS = (1.0, 0.75, 0.5, 0.25)  # where the four steps of a picture look
# What blocks of the transformer have to tell of a patch in training: its kind, its colour, and the
# choices that the noise makes.
SEEN = (len(KINDS) + 1, len(COLOURS) + 1, BACKGROUND_CHANNEL + 1)
PLAN = {
    "vae": dict(steps=2200, batch=32, rate=2e-3, muon=0.01),
    "latents": dict(scenes=30000),
    "words": dict(steps=800, batch=64, rate=2e-3, muon=0.02),
    "flow": dict(steps=17800, batch=32, rate=2e-3, muon=0.02),
}
SAVE_EVERY_S = 120.0
PROCESSES, RANK = (int(os.environ.get(name, number)) for name, number in (("WORLD_SIZE", 1), ("RANK", 0)))
VAE_CROP = 64  # pixels a side: empty ground teaches the coder nothing


class Pictures(Dataset):
    """Scenes by number, as [3, side, side] in -1..1; or a `crop` of each, about one of its things."""

    def __init__(self, first, number, crop=None):
        self.first, self.number, self.crop = first, number, crop

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        scene = sample(self.first + index)[0]
        picture = draw_scene(scene)
        if self.crop:
            rng, thing = random.Random(index), random.Random(index).choice(scene.things)
            room = SIDE - self.crop
            left, top = (min(max(round(SIDE * at - self.crop * rng.uniform(0.2, 0.8)) // 8 * 8, 0), room)
                         for at in (thing.x, thing.y))  # on the points of the latents, as in whole pictures
            picture = picture[top:top + self.crop, left:left + self.crop]
        return torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 127.5 - 1


class Work:
    """The folder of a training: checkpoints, log, what stages leave for others."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def log(self, **facts):
        line = json.dumps({"time": round(time.time()), **facts})
        print(line, flush=True)
        with open(self.folder / "log.jsonl", "a") as file:
            file.write(line + "\n")

    def save(self, name, what):
        part = self.folder / (name + ".part")
        torch.save(what, part)
        part.replace(self.folder / name)

    def load(self, name):
        path = self.folder / name
        return torch.load(path, weights_only=True) if path.exists() else None


def optimise(work, stage, modules, loss_of, averaged=None):
    """Steps until the plan's number; goes on from the stage's checkpoint. loss_of(step) -> loss of a
    batch. `averaged` is a copy of the modules that follows them slowly. Where the plan has a rate
    for Muon, the matrices of the blocks are its. Each of the processes has batches of its own, and
    all take the same steps."""
    plan = PLAN[stage]
    named = [item for module in modules.values() for item in module.named_parameters()]
    wide = [p for name, p in named if "muon" in plan and p.dim() > 1
            and ("block" in name or "encoder.layers" in name)
            and "norm" not in name and "relative" not in name]
    weights, mine = [p for _, p in named], {id(p) for p in wide}
    rest = [p for _, p in named if id(p) not in mine]
    optimisers = [torch.optim.AdamW(rest, lr=plan["rate"], betas=(0.9, 0.98), weight_decay=0.01)]
    if wide:
        optimisers.append(Muon(wide, plan["muon"]))
    tops = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    start, kept = 0, work.load(f"{stage}.pt")
    if kept:
        for name, module in modules.items():
            module.load_state_dict(kept[name])
            if averaged:
                averaged[name].load_state_dict(kept["averaged " + name])
        for optimiser, state in zip(optimisers, kept["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        start = kept["step"]
    saved, shown, sum_loss, count = time.time(), time.time(), 0.0, 0
    for step in range(start, plan["steps"]):
        share = step / plan["steps"]
        rate = min(1.0, (step + 1) / 300) * (0.02 + 0.49 * (1 + math.cos(math.pi * share)))
        loss = loss_of(step * PROCESSES + RANK)
        loss.backward()
        if PROCESSES > 1:  # small products gain nothing by threads
            used = [p for p in weights if p.grad is not None]
            flat = torch.cat([p.grad.flatten() for p in used]) / PROCESSES
            torch.distributed.all_reduce(flat)
            for p, part in zip(used, flat.split([p.numel() for p in used])):
                p.grad.copy_(part.view_as(p))
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for optimiser, top in zip(optimisers, tops):
            optimiser.param_groups[0]["lr"] = top * rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        if averaged:
            keep = min(0.999, (step + 1) / (step + 10))
            with torch.no_grad():
                for name, module in modules.items():
                    for slow, fast in zip(averaged[name].parameters(), module.parameters()):
                        slow.lerp_(fast, 1 - keep)
        sum_loss, count = sum_loss + loss.item(), count + 1
        last = step + 1 == plan["steps"]
        if RANK > 0:
            continue
        if count == 100 or last:
            rate_now = count * PROCESSES * plan["batch"] / (time.time() - shown)
            work.log(stage=stage, step=step + 1, of=plan["steps"], loss=round(sum_loss / count, 5),
                     samples_per_s=round(rate_now, 1))
            sum_loss, count, shown = 0.0, 0, time.time()
        if last or time.time() - saved > SAVE_EVERY_S:
            state = {name: module.state_dict() for name, module in modules.items()}
            if averaged:
                state |= {"averaged " + n: module.state_dict() for n, module in averaged.items()}
            work.save(f"{stage}.pt", state | {"optimisers": [o.state_dict() for o in optimisers],
                                            "step": step + 1})
            saved = time.time()


def train_tokens(work):
    if not (work.folder / "tokenizer_2" / "tokenizer.json").exists():
        sizes = tokens.make(work.folder)
        work.log(stage="tokens", clip=sizes[0], t5=sizes[1])


def train_vae(work):
    torch.manual_seed(1)
    vae = networks.Vae(networks.VAE_CONFIG).to(memory_format=torch.channels_last)
    batch = PLAN["vae"]["batch"]
    done = (work.load("vae.pt") or {"step": 0})["step"]
    if done == PLAN["vae"]["steps"]:
        return
    pictures = Pictures(10_000_000 * (1 + RANK) + done * batch, (PLAN["vae"]["steps"] - done) * batch, VAE_CROP)
    feed = iter(DataLoader(pictures, batch, num_workers=1))

    def loss_of(_):
        real = next(feed).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            mean, spread = vae.encode(real)
            mean, spread = mean.float(), spread.float()
            drawn = vae.decode(mean + torch.exp(0.5 * spread) * torch.randn_like(mean)).float()
        off = (drawn - real).abs()
        away = 0.5 * (mean ** 2 + spread.exp() - 1 - spread).mean()
        return off.mean() + 2 * (off ** 2).mean() + 1e-4 * away

    optimise(work, "vae", {"vae": vae}, loss_of)


def trained_vae(work):
    vae = networks.Vae(networks.VAE_CONFIG)
    vae.load_state_dict(work.load("vae.pt")["vae"])
    return vae.eval().requires_grad_(False)


def make_latents(work):
    """latents.npy [scenes, 16, 16, 16] f16, and their mean and deviation in latents.json."""
    if (work.folder / "latents.json").exists():
        return
    vae, number = trained_vae(work), PLAN["latents"]["scenes"]
    out = numpy.lib.format.open_memmap(work.folder / "latents.npy", "w+", numpy.float16,
                                       (number, 16, 16, 16))
    at, began = 0, time.time()
    with torch.no_grad():
        for real in DataLoader(Pictures(0, number), 64, num_workers=1):
            with torch.autocast("cpu", torch.bfloat16):
                mean, _ = vae.encode(real.to(memory_format=torch.channels_last))
            out[at:at + len(real)] = mean.float().numpy()
            at += len(real)
            if at % 6400 == 0:
                work.log(stage="latents", done=at, of=number,
                         samples_per_s=round(at / (time.time() - began), 1))
    some = numpy.asarray(out[:4000], dtype=numpy.float32)
    facts = {"shift": round(float(some.mean()), 4), "scale": round(float(1 / some.std()), 4)}
    (work.folder / "latents.json").write_text(json.dumps(facts))


def make_model(work):
    """The text encoders and the transformer, by name, as they begin."""
    sizes = [len(json.loads((work.folder / "tokenizer" / "vocab.json").read_text())),
             len(json.loads((work.folder / "tokenizer_2" / "tokenizer.json").read_text())["model"]["vocab"])]
    torch.manual_seed(2)
    clip = CLIPTextModel(CLIPTextConfig(vocab_size=sizes[0], bos_token_id=sizes[0] - 2,
                                        eos_token_id=sizes[0] - 1, pad_token_id=sizes[0] - 1,
                                        **networks.CLIP_CONFIG))
    t5 = T5EncoderModel(T5Config(vocab_size=sizes[1], pad_token_id=0, eos_token_id=1,
                                 decoder_start_token_id=0, **networks.T5_CONFIG))
    # Heads that look at the words beside: a colour is learnt by its thing, not by all things.
    bias = t5.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight  # [bucket, head]
    with torch.no_grad():
        bias.zero_()
        for head, bucket in enumerate((1, 2, 17)):  # one and two before, one after
            bias[bucket, head] = 4.0
        for bucket in range(len(bias)):
            bias[bucket, 3] = -0.7 * (bucket % 16)  # the nearer the more
    transformer = networks.Transformer(networks.TRANSFORMER_CONFIG)
    for name, weight in transformer.named_parameters():  # blocks begin as nothing at all
        if "norm" in name and "linear" in name or name.startswith("proj_out"):
            torch.nn.init.zeros_(weight)
    return {"clip": clip, "t5": t5, "transformer": transformer}


def conditions(model, tokenizers, prompts):
    """T5's states [B, T, width] and CLIP's pooled state [B, width]."""
    both = [tokenizers.ids(prompt) for prompt in prompts]
    states = model["t5"](input_ids=torch.tensor([ids[1] for ids in both])).last_hidden_state
    pooled = model["clip"](input_ids=torch.tensor([ids[0] for ids in both])).pooler_output
    return states, pooled


class Teller(torch.nn.Module):
    """Tells what the text encoders know; thrown away after the training of words."""

    def __init__(self):
        super().__init__()
        self.thing = torch.nn.Linear(networks.T5_CONFIG["d_model"], len(COLOURS) + 3)
        self.whole = torch.nn.ModuleList(
            [torch.nn.Linear(width, len(BACKGROUNDS) + len(STYLES) + 3)
             for width in (networks.T5_CONFIG["d_model"], networks.CLIP_CONFIG["hidden_size"])])


def words_loss(model, tokenizers, scenes, prompts):
    """Each kind's word has to know its colour, place and extent, and the whole prompt its background,
    style and number of things."""
    with torch.autocast("cpu", torch.bfloat16):
        states, pooled = conditions(model, tokenizers, prompts)
    states, pooled, teller = states.float(), pooled.float(), model["teller"]
    rows, places, colours, boxes = [], [], [], []
    for row, (scene, prompt) in enumerate(zip(scenes, prompts)):
        ids = tokenizers.ids(prompt)[1]
        kinds = [at for at, piece in enumerate(ids) if piece in tokenizers.kinds]
        for thing, at in zip(scene.things, kinds):  # they are named in their order
            rows.append(row)
            places.append(at)
            colours.append(list(COLOURS).index(thing.colour))
            boxes.append((thing.x, thing.y, 2 * thing.extent))
    told = teller.thing(states[rows, places])
    loss = functional.cross_entropy(told[:, :-3], torch.tensor(colours))
    loss = loss + 20 * functional.mse_loss(told[:, -3:], torch.tensor(boxes))
    backgrounds = torch.tensor([list(BACKGROUNDS).index(scene.background) for scene in scenes])
    styles = torch.tensor([STYLES.index(scene.style) for scene in scenes])
    numbers = torch.tensor([len(scene.things) - 1 for scene in scenes])
    for whole, state in zip(teller.whole, (states.mean(dim=1), pooled)):
        parts = whole(state).split([len(BACKGROUNDS), len(STYLES), 3], dim=1)
        for part, wanted in zip(parts, (backgrounds, styles, numbers)):
            loss = loss + 0.3 * functional.cross_entropy(part, wanted)
    return loss


def train_words(work):
    model = make_model(work)
    del model["transformer"]
    model["teller"] = Teller()
    tokenizers, plan = tokens.Tokenizers(work.folder), PLAN["words"]

    def loss_of(step):
        seed, scenes, prompts = 40_000_000 + 10 * step * plan["batch"], [], []
        while len(prompts) < plan["batch"]:
            scene, prompt = sample(seed)
            seed += 1
            if not held_out(prompt):
                scenes.append(scene)
                prompts.append(prompt)
        return words_loss(model, tokenizers, scenes, prompts)

    optimise(work, "words", model, loss_of)


def patches_of(scene):
    """[HW / 4] each: which kind and which colour stands at the patches; the last number: none."""
    count = SIDE // 16
    kinds, colours = [[len(KINDS)] * count ** 2, [len(COLOURS)] * count ** 2]
    for thing in sorted(scene.things, key=lambda thing: -thing.extent):  # what is inside comes last
        for at in range(count ** 2):
            x, y = (at % count + 0.5) / count, (at // count + 0.5) / count
            if max(abs(x - thing.x), abs(y - thing.y)) < thing.extent:
                kinds[at] = list(KINDS).index(thing.kind)
                colours[at] = list(COLOURS).index(thing.colour)
    return kinds, colours


def flow_loss(model, tokenizers, clean, noise, sigma, prompts, patches):
    """`patches`: what patches_of() says of each. The blocks learn sooner when they have to say it, and
    to tell from pure noise what it chooses."""
    at = sigma[:, None, None, None]
    with torch.autocast("cpu", torch.bfloat16):
        states, pooled = conditions(model, tokenizers, prompts)
        flow, seen = model["transformer"](clean + at * (noise - clean), sigma, states, pooled,
                                          model["looker"])
    loss = functional.mse_loss(flow.float(), noise - clean)
    *seen, chosen = seen.float().split(SEEN, dim=2)
    means = 16 * noise[:, :SEEN[-1]].mean((2, 3))  # as normal as the noise itself
    pure, off = sigma == 1, (chosen - means[:, None]).square().mean((1, 2))
    loss = loss + 0.1 * (off * pure).sum() / pure.sum().clamp(min=1)
    for logits, wanted in zip(seen, zip(*patches)):
        loss = loss + 0.1 * functional.cross_entropy(logits.flatten(0, 1),
                                                     torch.tensor(wanted).flatten())
    return loss


def match(noise, choices, rng):
    """Changes noise [16, 16, 16] so that it tells the scene's choices: the mean of a channel lies in
    the part of its distribution that is the choice's. Every choice is as likely as any other, so the
    noise of all scenes together stays what it was; but what becomes of one noise is not open any
    more, and a picture needs few steps, the first of which knows all."""
    for channel, choice, number in choices:
        share = (choice + min(max(rng.random(), 1e-6), 1 - 1e-6)) / number
        noise[channel] += statistics.NormalDist().inv_cdf(share) / 16 - noise[channel].mean()


def weight_of(scene):
    """How often the scene is shown, beside an easy one: what is rare and unlike the rest, oftener."""
    number, largest = len(scene.things), max(thing.extent for thing in scene.things)
    shape = 1.5 if number == 3 else 1 if largest < 0.3 else 6 if number == 2 else 2.5  # 6: inside
    return shape * (3 if scene.background == "night" else 1) * (2 if scene.style == "pixel" else 1)


def train_flow(work):
    model, plan = with_words(work, make_model(work)), PLAN["flow"]
    model["looker"] = torch.nn.Linear(model["transformer"].proj_out.in_features, sum(SEEN))
    learning = {name: model[name] for name in ("transformer", "looker")}
    averaged = copy.deepcopy(learning)
    tokenizers = tokens.Tokenizers(work.folder)
    latents = numpy.load(work.folder / "latents.npy", mmap_mode="r")
    facts = json.loads((work.folder / "latents.json").read_text())
    scenes = [random_scene(random.Random(seed)) for seed in range(len(latents))]
    patches_at = [patches_of(scene) for scene in scenes]
    weights = list(itertools.accumulate(map(weight_of, scenes)))

    def loss_of(step):
        rng, draw = random.Random(step), torch.Generator().manual_seed(step)
        clean, prompts, patches, choices = [], [], [], []
        while len(prompts) < plan["batch"]:
            seed = rng.choices(range(len(scenes)), cum_weights=weights)[0]
            prompt = describe(scenes[seed], rng)
            if not held_out(prompt):
                patches.append(patches_at[seed])
                choices.append(scenes[seed].choices)
                clean.append(latents[seed].astype(numpy.float32))
                prompts.append(prompt)
        clean = (torch.from_numpy(numpy.stack(clean)) - facts["shift"]) * facts["scale"]
        noise = torch.randn(clean.shape, generator=draw)
        for one, made in zip(noise, choices):
            match(one, made, rng)
        sigma = torch.sigmoid(torch.randn(len(clean), generator=draw) + 0.5)
        known = len(clean) * 5 // 8  # most are where a picture's steps look, and where it begins
        sigma[:known] = torch.tensor(rng.choices(SIGMAS, (4, 2, 1, 1), k=known))
        return flow_loss(model, tokenizers, clean, noise, sigma, prompts, patches)

    optimise(work, "flow", learning, loss_of, averaged)


def with_words(work, model):
    """With the text encoders as the training of words left them: they learn no more."""
    kept = work.load("words.pt")
    for name in ("clip", "t5"):
        model[name].load_state_dict(kept[name])
        model[name].eval().requires_grad_(False)
    return model


def trained_model(work):
    model = with_words(work, make_model(work))
    model["transformer"].load_state_dict(work.load("flow.pt")["averaged transformer"])
    model["transformer"].eval().requires_grad_(False)
    return model


def main():
    import export
    torch.set_num_threads(1 if PROCESSES > 1 else os.cpu_count())
    if PROCESSES > 1:
        torch.distributed.init_process_group("gloo", timeout=datetime.timedelta(days=1))
    stages = {"tokens": train_tokens, "vae": train_vae, "latents": make_latents, "words": train_words,
              "flow": train_flow, "export": export.export}
    work = Work(sys.argv[1])
    for stage in sys.argv[2:] or stages:
        if stage not in stages:
            sys.exit(f"there is no stage '{stage}'; there are: {', '.join(stages)}")
        if RANK == 0 or stage in PLAN and "rate" in PLAN[stage]:  # the others have no steps to share
            stages[stage](work)
        if PROCESSES > 1:
            torch.distributed.barrier()


if __name__ == "__main__":
    main()
