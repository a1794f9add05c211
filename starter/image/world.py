"""Writes what reader.mjs and the measures need of the world: world.py

kinds.png is every kind drawn in several manners, and world.json the colours and 300 prompts that
training never sees, each with what has to be in its picture. Both are kept in the tree.
"""
import json
import pathlib

import numpy
from PIL import Image

from kinds import BACKGROUNDS, COLOURS, DARK, KINDS, WHITE
from scenes import SIDE, Scene, Thing, draw_scene, held_out, sample

HERE = pathlib.Path(__file__).parent
# Style, half extent, and what white is painted with: a white cap before white is hardly seen.
GROUND = BACKGROUNDS["white"]
MANNERS = (("flat", 0.35, WHITE), ("flat", 0.14, WHITE), ("pixel", 0.3, WHITE), ("pixel", 0.27, WHITE),
           ("pixel", 0.225, WHITE), ("pixel", 0.185, WHITE), ("pixel", 0.17, WHITE),
           ("flat", 0.35, GROUND), ("flat", 0.14, GROUND), ("pixel", 0.27, GROUND),
           ("pixel", 0.185, GROUND))
FIRST, PROMPTS = 30_000_000, 300


def questions():
    seed = FIRST
    while True:
        scene, prompt = sample(seed)
        if held_out(prompt):
            others = lambda other: list(other) if isinstance(other, tuple) else [other]
            yield {"prompt": prompt, "things": [[t.colour, t.kind] for t in scene.things],
                   "relations": [[one, how, others(other)] for one, how, other in scene.relations]}
        seed += 1


def main():
    rows = []
    for style, extent, white in MANNERS:
        drawn = [draw_scene(Scene([Thing(kind, "red", "medium", 0.5, 0.5, extent)], [], "white",
                                  style), white) for kind in KINDS]
        rows.append(numpy.concatenate(drawn, axis=1))
    Image.fromarray(numpy.concatenate(rows)).save(HERE / "kinds.png", optimize=True)
    ask = questions()
    prompts = ",\n  ".join(json.dumps(next(ask)) for _ in range(PROMPTS))
    facts = {"side": SIDE, "kinds": list(KINDS), "colours": COLOURS, "fixed": [DARK, WHITE],
             "backgrounds": BACKGROUNDS}
    lines = ",\n ".join(f'"{name}": {json.dumps(value)}' for name, value in facts.items())
    (HERE / "world.json").write_text(f'{{{lines},\n "prompts": [\n  {prompts}\n ]}}\n')


if __name__ == "__main__":
    main()
