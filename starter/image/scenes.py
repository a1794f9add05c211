"""Scenes of the small world: chosen by a seed, drawn as a picture, said in words."""
import dataclasses
import hashlib
import random

import numpy
from PIL import Image, ImageDraw

from kinds import BACKGROUNDS, COLOURS, DARK, HOLDERS, KINDS, WHITE

SIDE = 128
FINE = 4  # a flat scene is drawn this much larger and averaged down
PIXEL_SIDE = 32  # a scene in pixel style has so many dots a side
STYLES = ("flat", "pixel")
RELATIONS = ("left of", "right of", "above", "below", "inside")
# Half an object's extent, as a share of the side, by number of objects and size.
EXTENTS = {
    1: {"small": 0.17, "medium": 0.27, "big": 0.40},
    2: {"small": 0.135, "medium": 0.185, "big": 0.225},
    3: {"small": 0.115, "medium": 0.14, "big": 0.16},
}
HELD_OUT_SHARE = 40  # one prompt of so many is never trained on


@dataclasses.dataclass
class Thing:
    kind: str
    colour: str
    size: str
    x: float = 0.5  # centre and half extent, in sides
    y: float = 0.5
    extent: float = 0.2


@dataclasses.dataclass
class Scene:
    things: list
    relations: list  # (index, relation, index)
    background: str
    style: str


def _place(things, relations, rng):
    """Gives every thing its place, so that the relations hold and nothing overlaps.

    Centres lie on the dots of the pixel style. What the prompt leaves open is little, a few dots
    of shift for each seed: a picture in four steps can't weigh many answers against each other.
    """
    number, dot = len(things), 1 / PIXEL_SIDE
    for thing in things:
        thing.extent = EXTENTS[number][thing.size]

    def put(thing, x, y, free_x, free_y):
        thing.x = (round(x / dot) + rng.randint(-free_x, free_x)) * dot
        thing.y = (round(y / dot) + rng.randint(-free_y, free_y)) * dot

    if number == 1:
        free = 1 if things[0].size == "big" else 2
        put(things[0], 0.5, 0.5, free, free)
        return
    if relations and relations[0][1] == "inside":
        inner, outer = things[relations[0][0]], things[relations[0][2]]
        outer.extent = 0.42
        put(outer, 0.5, 0.5, 1, 1)
        inner.extent = outer.extent * {"medium": 0.40, "big": 0.45}[inner.size]
        inner.x, inner.y = outer.x, outer.y
        return
    across = not relations or relations[0][1] in ("left of", "right of")
    first, second = (0, 1)
    if relations and relations[0][1] in ("right of", "below"):
        first, second = (1, 0)
    if number == 2:
        for index, at in zip((first, second), (0.25, 0.75)):
            put(things[index], *((at, 0.5, 0, 2) if across else (0.5, at, 2, 0)))
        return
    if len(relations) > 1:  # the third above or below the two, which stand beside each other
        third_above = relations[1][1] == "above"
        row, other = (0.72, 0.25) if third_above else (0.28, 0.75)
        for index, x in zip((first, second), (0.27, 0.73)):
            put(things[index], x, row, 1, 1)
        put(things[2], 0.5, other, 2, 1)
    else:  # a row
        for thing, x in zip(things, (0.175, 0.5, 0.825)):
            thing.extent = min(thing.extent, 0.145)
            put(thing, x, 0.5, 0, 2)


def random_scene(rng):
    number = rng.choices((1, 2, 3), (4, 5, 2))[0]
    colours = rng.sample(list(COLOURS), number)
    things = [Thing(rng.choice(list(KINDS)), colour, rng.choices(("small", "medium", "big"),
                                                                  (1, 4, 1))[0])
              for colour in colours]
    relations = []
    if number == 2:
        relation = rng.choices(RELATIONS + (None,), (4, 4, 4, 4, 3, 2))[0]
        if relation == "inside":
            things[1].kind, things[1].size = rng.choice(HOLDERS), "medium"
            things[0].size = rng.choice(("medium", "medium", "big"))
        if relation:
            relations = [(0, relation, 1)]
    elif number == 3 and rng.random() < 0.6:
        relations = [(0, rng.choice(("left of", "right of")), 1), (2, rng.choice(("above", "below")),
                                                                   (0, 1))]
    background = rng.choices(list(BACKGROUNDS), (6, 1, 1, 1, 1))[0]
    # Three things are too small to be told apart in dots.
    style = rng.choices(STYLES, (3, 1 if number < 3 else 0))[0]
    if style == "pixel" and number == 2:  # dots are coarse: what is small can't be told apart
        for thing in things:
            thing.size = thing.size if thing.size == "big" else "medium"
    _place(things, relations, rng)
    return Scene(things, relations, background, style)


def _paint(draw, thing, side, paints):
    centre_x, centre_y, extent = thing.x * side, thing.y * side, thing.extent * side
    for paint, form, numbers in KINDS[thing.kind]:
        at = [(centre_y if i % 2 else centre_x) + extent * n for i, n in enumerate(numbers)]
        fill = paints[paint]
        if form == "oval":
            draw.ellipse(at, fill=fill)
        else:
            draw.polygon(at, fill=fill)


def draw_scene(scene, white=WHITE):
    """The picture, SIDE by SIDE by 3 of bytes; `white` is what white parts are painted with."""
    side = PIXEL_SIDE if scene.style == "pixel" else SIDE * FINE
    ground = BACKGROUNDS[scene.background]
    image = Image.new("RGB", (side, side), ground)
    draw = ImageDraw.Draw(image)
    holders = [r[2] for r in scene.relations if r[1] == "inside"]
    order = sorted(range(len(scene.things)), key=lambda i: i not in holders)
    bare = ground
    for index in order:
        thing = scene.things[index]
        paints = {"main": COLOURS[thing.colour], "dark": DARK, "white": white, "bare": bare}
        _paint(draw, thing, side, paints)
        if index in holders:
            bare = COLOURS[thing.colour]
    if scene.style == "pixel":
        image = image.resize((SIDE, SIDE), Image.NEAREST)
    else:
        image = image.reduce(FINE)
    return numpy.asarray(image)


WORDS = {
    "left of": ("left of", "to the left of", "on the left of", "on the left side of"),
    "right of": ("right of", "to the right of", "on the right of", "on the right side of"),
    "above": ("above", "over", "on top of", "higher than"),
    "below": ("below", "under", "beneath", "underneath"),
    "inside": ("inside", "in", "within", "in the middle of"),
}
SIZES = {"small": ("small", "little", "tiny"), "big": ("big", "large", "huge"), "medium": ("",)}
GROUNDS = {
    "white": ("", "", "", "on a white background", "on white", "white background"),
    "grey": ("on a grey background", "on a gray background", "grey background"),
    "night": ("at night", "on a dark background", "in the night", "night sky"),
    "sky": ("in the sky", "on a light blue background", "sky background"),
    "sand": ("on sand", "on a beige background", "on a sandy background", "on the beach"),
}
MANNERS = {
    "flat": ("", "", "", "flat style", "as a flat drawing"),
    "pixel": ("pixel art", "in pixel style", "as pixel art", "pixelated", "8-bit style"),
}
OPENINGS = ("", "", "", "", "draw ", "a picture of ", "please draw ", "an image of ", "show me ",
            "paint ", "a drawing of ", "I want to see ")


def _noun(thing, rng, article):
    size = rng.choice(SIZES[thing.size])
    words = " ".join(w for w in (size, thing.colour, thing.kind) if w)
    if not article:
        return words
    if rng.random() < 0.1:
        return "the " + words
    return ("an " if words[0] in "aeiou" else "a ") + words


def describe(scene, rng):
    """One of the ways to ask for the scene."""
    article = rng.random() < 0.85
    nouns = [_noun(thing, rng, article) for thing in scene.things]
    say = lambda relation: rng.choice(WORDS[relation])
    if not scene.relations:
        text = nouns[0] if len(nouns) == 1 else ", ".join(nouns[:-1]) + " and " + nouns[-1]
    else:
        first, relation, second = scene.relations[0]
        text = f"{nouns[first]} {say(relation)} {nouns[second]}"
        if len(scene.relations) > 1:
            third = scene.relations[1]
            text += rng.choice((f", with {nouns[third[0]]} {say(third[1])} them",
                                f" and {nouns[third[0]]} {say(third[1])} both",
                                f", {nouns[third[0]]} {say(third[1])} them"))
    extras = [rng.choice(GROUNDS[scene.background]), rng.choice(MANNERS[scene.style])]
    rng.shuffle(extras)
    text = rng.choice(OPENINGS) + text
    for extra in extras:
        if extra:
            text += rng.choice((" ", ", ")) + extra
    if rng.random() < 0.15:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.1:
        text += "."
    return text


def held_out(prompt):
    return hashlib.sha256(prompt.lower().encode()).digest()[0] % HELD_OUT_SHARE == 0


def sample(seed):
    """The scene and the prompt of a seed."""
    rng = random.Random(seed)
    scene = random_scene(rng)
    return scene, describe(scene, rng)
