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
    2: {"small": 0.14, "medium": 0.185, "big": 0.225},
    3: {"small": 0.115, "medium": 0.14, "big": 0.16},
}
POINT = 8 / SIDE  # a latent point; a patch of the transformer is two of them a side
UNSAID = ("white", "sky", "sand")  # the backgrounds that a seed chooses of where the prompt says none
BACKGROUND_CHANNEL = 6  # those before are the places of three things
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
    background_said: bool = True
    # What the prompt leaves open, and was chosen: (channel of the noise, choice, number of choices).
    choices: list = dataclasses.field(default_factory=list)


def _place(scene, rng):
    """Gives every thing its place, so that the relations hold and nothing overlaps.

    Shifts are whole patches where there is room: what stands at one phase of the patches is learnt
    once. Each is noted as a choice, for noise and scene are matched by them in training.
    """
    things, relations, number = scene.things, scene.relations, len(scene.things)
    for thing in things:
        thing.extent = EXTENTS[number][thing.size]

    def put(index, x, y, shifts_x=(0,), shifts_y=(0,)):  # in points
        at = []
        for axis, (centre, shifts) in enumerate(((x, shifts_x), (y, shifts_y))):
            choice = rng.randrange(len(shifts))
            if len(shifts) > 1:
                scene.choices.append((2 * index + axis, choice, len(shifts)))
            at.append((centre + shifts[choice]) * POINT)
        things[index].x, things[index].y = at

    near, far, little = (-2, 0, 2), (-4, -2, 0, 2, 4), (-1, 0, 1)
    if number == 1:
        shifts = {"small": far, "medium": near, "big": little}[things[0].size]
        put(0, 8, 8, shifts, shifts)
        return
    if relations and relations[0][1] == "inside":
        inner, outer = things[relations[0][0]], things[relations[0][2]]
        outer.extent = 0.40
        put(relations[0][2], 8, 8, little, little)
        inner.extent = {"medium": 0.17, "big": 0.185}[inner.size]
        inner.x, inner.y = outer.x, outer.y
        return
    across = not relations or relations[0][1] in ("left of", "right of")
    first, second = (0, 1)
    if relations and relations[0][1] in ("right of", "below"):
        first, second = (1, 0)
    if number == 2:
        for index, at in zip((first, second), (4, 12)):
            put(index, *((at, 8, (0,), far) if across else (8, at, far)))
        return
    if len(relations) > 1:  # the third above or below the two, which stand beside each other
        third_above = relations[1][1] == "above"
        row, other, shifts = (12, 4, (-2, 0)) if third_above else (4, 12, (0, 2))
        for index, x in zip((first, second), (4, 12)):
            put(index, x, row, (0,), shifts)
        put(2, 8, other, far)
    else:  # a row
        for index, x in enumerate((3, 8, 13)):
            things[index].extent = min(things[index].extent, EXTENTS[3]["medium"])
            put(index, x, 8, (0,), far)


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
    background = rng.choices((None, *BACKGROUNDS), (3, 3, 1, 1, 1, 1))[0]
    # Three things are too small to be told apart in dots.
    style = rng.choices(STYLES, (3, 1 if number < 3 else 0))[0]
    if style == "pixel" and number == 2:  # dots are coarse: what is small can't be told apart
        for thing in things:
            thing.size = thing.size if thing.size == "big" else "medium"
    scene = Scene(things, relations, background, style, background is not None)
    if not background:
        choice = rng.randrange(len(UNSAID))
        scene.background = UNSAID[choice]
        scene.choices.append((BACKGROUND_CHANNEL, choice, len(UNSAID)))
    _place(scene, rng)
    return scene


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
    "white": ("on a white background", "on white", "white background"),
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
    extras = [rng.choice(GROUNDS[scene.background]) if scene.background_said else "",
              rng.choice(MANNERS[scene.style])]
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
