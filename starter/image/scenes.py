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
PIXEL_EXTENT_MIN = 0.14  # dots are coarse: what is smaller can't be told apart
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


def _clamp(at, extent):
    return min(max(at, extent + 0.02), 0.98 - extent)


def _place(things, relations, style, rng):
    """Gives every thing its place, so that the relations hold and nothing overlaps."""
    number = len(things)
    for thing in things:
        thing.extent = EXTENTS[number][thing.size] * rng.uniform(0.94, 1.06)
        if style == "pixel":
            thing.extent = max(thing.extent, PIXEL_EXTENT_MIN)
    jitter = lambda width: rng.uniform(-width, width)
    if number == 1:
        only = things[0]
        room = max(0.0, 0.46 - only.extent)
        only.x, only.y = 0.5 + jitter(room * 0.6), 0.5 + jitter(room * 0.6)
        return
    if relations and relations[0][1] == "inside":
        inner, outer = things[relations[0][0]], things[relations[0][2]]
        outer.extent = rng.uniform(0.36, 0.43)
        outer.x, outer.y = 0.5 + jitter(0.04), 0.5 + jitter(0.04)
        inner.extent = outer.extent * {"small": 0.30, "medium": 0.38, "big": 0.44}[inner.size]
        inner.x, inner.y = outer.x + jitter(0.02), outer.y + jitter(0.02)
        return
    across = not relations or relations[0][1] in ("left of", "right of")
    first, second = (0, 1)
    if relations and relations[0][1] in ("right of", "below"):
        first, second = (1, 0)
    if number == 2:
        spots = [(0.26, 0.5), (0.74, 0.5)] if across else [(0.5, 0.26), (0.5, 0.74)]
        free = (0.03, 0.16) if across else (0.16, 0.03)
        for index, spot in zip((first, second), spots):
            things[index].x = _clamp(spot[0] + jitter(free[0]), things[index].extent)
            things[index].y = _clamp(spot[1] + jitter(free[1]), things[index].extent)
        return
    if len(relations) > 1:  # the third above or below the two, which stand beside each other
        third_above = relations[1][1] == "above"
        row, other = (0.72, 0.25) if third_above else (0.28, 0.75)
        for index, x in zip((first, second), (0.27, 0.73)):
            things[index].x, things[index].y = x + jitter(0.04), row + jitter(0.04)
        things[2].x, things[2].y = 0.5 + jitter(0.1), other + jitter(0.03)
    else:  # a row
        for thing, x in zip(things, (0.175, 0.5, 0.825)):
            thing.extent = min(thing.extent, 0.145)
            thing.x, thing.y = x + jitter(0.015), 0.5 + jitter(0.14)
    for thing in things:
        thing.x, thing.y = _clamp(thing.x, thing.extent), _clamp(thing.y, thing.extent)


def random_scene(rng):
    number = rng.choices((1, 2, 3), (3, 5, 3))[0]
    colours = rng.sample(list(COLOURS), number)
    things = [Thing(rng.choice(list(KINDS)), colour, rng.choices(("small", "medium", "big"),
                                                                  (1, 4, 1))[0])
              for colour in colours]
    relations = []
    if number == 2:
        relation = rng.choices(RELATIONS + (None,), (4, 4, 4, 4, 3, 2))[0]
        if relation == "inside":
            things[1].kind, things[1].size = rng.choice(HOLDERS), "medium"
        if relation:
            relations = [(0, relation, 1)]
    elif number == 3 and rng.random() < 0.6:
        relations = [(0, rng.choice(("left of", "right of")), 1), (2, rng.choice(("above", "below")),
                                                                   (0, 1))]
    background = rng.choices(list(BACKGROUNDS), (6, 1, 1, 1, 1))[0]
    # Three things are too small to be told apart in dots.
    style = rng.choices(STYLES, (3, 1 if number < 3 else 0))[0]
    _place(things, relations, style, rng)
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


def draw_scene(scene):
    """The picture, SIDE by SIDE by 3 of bytes."""
    side = PIXEL_SIDE if scene.style == "pixel" else SIDE * FINE
    ground = BACKGROUNDS[scene.background]
    image = Image.new("RGB", (side, side), ground)
    draw = ImageDraw.Draw(image)
    holders = [r[2] for r in scene.relations if r[1] == "inside"]
    order = sorted(range(len(scene.things)), key=lambda i: i not in holders)
    bare = ground
    for index in order:
        thing = scene.things[index]
        paints = {"main": COLOURS[thing.colour], "dark": DARK, "white": WHITE, "bare": bare}
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
