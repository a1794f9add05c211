"""Trains the starter text model; goes on from the last checkpoint of its folder.

    python3 train.py FACTS FOLDER [--steps N] [--shape layers=4,...] [--threads N] [--seed N]

FOLDER gets tokenizer.json, checkpoint.pt (weights, optimisers, step), curve.csv and state.json.
Wide matrices are trained by Muon (steps along the orthogonal part of the momentum), the rest by
AdamW. The rate rises over 100 steps and falls along a line to nothing over the last 60 %.
"""
import argparse
import csv
import json
import os
import random
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import corpus as corpora
from model import Model, Shape
from muon import Muon
from tokenizer import SPECIAL, Tokenizer, train_merges


def length_of(step):
    return 1024 if step % 40 == 39 else 512 if step % 10 == 9 else 160


def batch(facts, folder, seed, step, tokens):
    """Made in a process of its own, a few steps ahead."""
    global HELD
    if "HELD" not in globals():
        torch.set_num_threads(1)
        HELD = corpora.Corpus(facts), Tokenizer.load(Path(folder) / "tokenizer.json")
    length = length_of(step)
    return corpora.rows(*HELD, random.Random(f"{seed}:{step}"), tokens // length, length)


def make_tokenizer(corpus, folder, seed, vocab):
    path = Path(folder) / "tokenizer.json"
    if not path.exists():
        rng = random.Random(f"{seed}:tokenizer")
        texts = [fact.answer for fact in corpus.facts for _ in range(40)]
        texts += [text for _ in range(40000) for _, text in corpus.dialogue(rng)]
        Tokenizer(train_merges(texts, vocab - 256 - len(SPECIAL))).save(path)
    return Tokenizer.load(path)


@torch.no_grad()
def held_share(model, corpus, tokenizer):
    """Share of the questions kept out of training whose whole answer is the likeliest one."""
    right = 0
    for asked in corpus.questions:
        answer = corpus.by_id[asked["fact"]].answer
        dialogue = [("user", asked["question"]), ("assistant", answer)]
        ids, targets = corpora.encode(dialogue, tokenizer, random.Random(0))
        ids, targets = torch.tensor([ids]), torch.tensor(targets)
        best = model(ids, torch.zeros_like(ids))[0].argmax(-1)
        right += bool((best == targets)[targets >= 0].all())
    return right / len(corpus.questions)


def rate_at(step, steps):
    return min((step + 1) / 100, max(0.02, min(1.0, (steps - step) / (0.6 * steps))))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("facts")
    args.add_argument("folder")
    args.add_argument("--steps", type=int, default=2500)
    args.add_argument("--shape", default="layers=4")
    args.add_argument("--threads", type=int, default=2)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--batch", type=int, default=8192, help="tokens in a step")
    args.add_argument("--muon", type=float, default=0.02)
    args.add_argument("--adam", type=float, default=0.004)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    shape = Shape(**{k: int(v) for k, v in (part.split("=") for part in args.shape.split(","))})
    corpus = corpora.Corpus(args.facts)
    tokenizer = make_tokenizer(corpus, folder, args.seed, shape.vocab)
    shape.vocab = len(tokenizer)
    model = Model(shape, args.seed)
    wide = [p for name, p in model.named_parameters() if p.dim() == 2 and name != "embedding"]
    rest = [p for name, p in model.named_parameters() if p.dim() == 1 or name == "embedding"]
    optimisers = [
        Muon(wide, args.muon),
        torch.optim.AdamW(rest, lr=args.adam, betas=(0.9, 0.95), weight_decay=0.0)
    ]
    rates = [args.muon, args.adam]
    first, path = 0, folder / "checkpoint.pt"
    if path.exists():
        held = torch.load(path, weights_only=True)
        model.load_state_dict(held["model"])
        for optimiser, state in zip(optimisers, held["optimisers"]):
            optimiser.load_state_dict(state)
        first = held["step"]

    def save(step):
        torch.save(
            {
                "model": model.state_dict(), "optimisers": [o.state_dict() for o in optimisers],
                "step": step, "shape": shape.as_dict(), "corpus": corpus.hash
            }, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)
        (folder / "state.json").write_text(
            json.dumps({
                "step": step, "steps": args.steps, "seed": args.seed, "corpus": corpus.hash,
                "parameters": sum(p.numel() for p in model.parameters()), "loss": loss_mean
            }) + "\n")

    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))  # ends after the step under way
    started, loss_mean, saved, tokens = time.time(), None, time.time(), 0
    with ProcessPoolExecutor(1) as makers, open(folder / "curve.csv", "a", newline="") as file:
        curve = csv.writer(file)
        if file.tell() == 0:
            curve.writerow(["step", "loss", "rate", "seconds", "held_out"])
        ahead = [
            makers.submit(batch, args.facts, args.folder, args.seed, step, args.batch)
            for step in range(first, first + 4)
        ]
        for step in range(first, args.steps):
            ids, starts, targets = (torch.tensor(part) for part in ahead.pop(0).result())
            ahead.append(
                makers.submit(batch, args.facts, args.folder, args.seed, step + 4, args.batch))
            rate = rate_at(step, args.steps)
            for optimiser, top in zip(optimisers, rates):
                for group in optimiser.param_groups:
                    group["lr"] = top * rate
            loss = model(ids, starts, targets=targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(rest, 1.0)
            for optimiser in optimisers:
                optimiser.step()
                optimiser.zero_grad()
            tokens += ids.numel()
            loss_mean = loss.item() if loss_mean is None else 0.95 * loss_mean + 0.05 * loss.item()
            if step % 10 == 0:
                seconds = time.time() - started
                held = held_share(model, corpus, tokenizer) if step % 100 == 0 else ""
                curve.writerow([step, f"{loss_mean:.4f}", f"{rate:.3f}", f"{seconds:.0f}", held])
                file.flush()
                print(
                    f"step {step} loss {loss_mean:.4f} rate {rate:.3f}",
                    f"tokens/s {tokens / seconds:.0f}",
                    f"held out {held}",
                    flush=True)
            if stop or time.time() - saved > 120:
                save(step + 1)
                saved = time.time()
            if stop:
                break
        else:
            save(max(first, args.steps))
        for made in ahead:
            made.cancel()


if __name__ == "__main__":
    main()
