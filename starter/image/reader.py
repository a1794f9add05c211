"""Reads a picture of the small world: what things of which colour stand where.

It knows nothing of the prompt. A thing is a patch that is not background; its colour is the one that
it has most of, its kind the one whose own drawing has the most similar outline. A second colour in a
patch is a thing inside it.
"""
import functools

import numpy

from kinds import BACKGROUNDS, COLOURS, DARK, KINDS, WHITE
from scenes import PIXEL_SIDE, SIDE, Scene, Thing, draw_scene

GRID = 40  # outlines are compared on a grid of this many points a side
AREA_MIN = 70  # pixels
NAMES = list(COLOURS)
PALETTE = numpy.array(list(COLOURS.values()) + [DARK, WHITE] + list(BACKGROUNDS.values()),
                      dtype=numpy.int32)


def _labels(picture):
    """The nearest colour of the palette for each pixel, and which of them is the background."""
    distance = ((picture[:, :, None, :].astype(numpy.int32) - PALETTE) ** 2).sum(axis=3)
    labels = distance.argmin(axis=2)
    rim = numpy.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    ground = len(COLOURS) + 2
    return labels, ground + numpy.bincount(rim, minlength=len(PALETTE))[ground:].argmax()


def _patches(mask):
    """The connected patches of a mask (8 neighbours), as masks."""
    left = mask.copy()
    while left.any():
        start = numpy.argwhere(left)[0]
        stack, patch = [tuple(start)], numpy.zeros_like(mask)
        left[tuple(start)] = False
        while stack:
            y, x = stack.pop()
            patch[y, x] = True
            for at in ((y + down, x + right) for down in (-1, 0, 1) for right in (-1, 0, 1)):
                if 0 <= at[0] < SIDE and 0 <= at[1] < SIDE and left[at]:
                    left[at] = False
                    stack.append(at)
        yield patch


def _filled(patch):
    """The patch with its holes."""
    outside = numpy.zeros_like(patch)
    stack = [(0, i) for i in range(SIDE)] + [(SIDE - 1, i) for i in range(SIDE)]
    stack += [(i, 0) for i in range(SIDE)] + [(i, SIDE - 1) for i in range(SIDE)]
    while stack:
        y, x = stack.pop()
        if not (0 <= y < SIDE and 0 <= x < SIDE) or patch[y, x] or outside[y, x]:
            continue
        outside[y, x] = True
        stack += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return ~outside


def _thick(patch):
    """The patch without its rim: a seam between two colours has nothing left."""
    core = patch.copy()
    core[1:] &= patch[:-1]
    core[:-1] &= patch[1:]
    core[:, 1:] &= patch[:, :-1]
    core[:, :-1] &= patch[:, 1:]
    return core


def _box(patch):
    rows, columns = numpy.where(patch.any(axis=1))[0], numpy.where(patch.any(axis=0))[0]
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def _outline(patch):
    """The patch stretched to the grid, and its width by height."""
    left, top, right, bottom = _box(patch)
    ys = top + (numpy.arange(GRID) + 0.5) * (bottom - top) / GRID
    xs = left + (numpy.arange(GRID) + 0.5) * (right - left) / GRID
    return patch[ys.astype(int)[:, None], xs.astype(int)], (right - left) / (bottom - top)


@functools.cache
def _templates():
    out = []
    for kind in KINDS:
        for style, extent, shift in (("flat", 0.35, 0), ("flat", 0.14, 0), ("pixel", 0.3, 0),
                                     ("pixel", 0.2, 0), ("pixel", 0.2, 0.5), ("pixel", 0.15, 0),
                                     ("pixel", 0.15, 0.5), ("pixel", 0.17, 0.25)):
            centre = 0.5 + shift / PIXEL_SIDE
            thing = Thing(kind, "red", "medium", centre, centre, extent)
            labels, ground = _labels(draw_scene(Scene([thing], [], "white", style)))
            patch = max(_patches(labels != ground), key=numpy.sum)
            out.append((kind, *_outline(_filled(patch))))
    return out


def _kind(patch):
    outline, ratio = _outline(patch)
    best, best_kind = -1.0, None
    for kind, template, its_ratio in _templates():
        overlap = (outline & template).sum() / (outline | template).sum()
        score = overlap * min(ratio / its_ratio, its_ratio / ratio) ** 0.5
        if score > best:
            best, best_kind = score, kind
    return best_kind, best


def _thing(patch, colour):
    kind, score = _kind(patch)
    return {"kind": kind, "colour": NAMES[colour], "box": [int(n) for n in _box(patch)],
            "score": round(score, 3)}


def _main_colours(labels, patch):
    """The colours of the patch, without seams between others, the most frequent first."""
    areas = []
    for colour in range(len(NAMES)):
        here = patch & (labels == colour)
        if here.sum() >= AREA_MIN and _thick(here).sum() >= AREA_MIN * 0.3:
            areas.append((int(here.sum()), colour, here))
    return sorted(areas, reverse=True, key=lambda area: area[0])


def read_things(picture):
    """What is seen in the picture (SIDE by SIDE by 3 of bytes), as a list of dicts: kind, colour,
    box (left, top, right, bottom in pixels), score (how alike the outline is, to 1)."""
    labels, ground = _labels(picture)
    things = []
    for patch in _patches(labels != ground):
        if patch.sum() < AREA_MIN:
            continue
        whole = _filled(patch)
        colours = _main_colours(labels, whole)
        if not colours:
            continue
        things.append(_thing(whole, colours[0][1]))
        for _, colour, here in colours[1:]:  # a thing inside a thing
            inside = _thick(_thick(whole)) & (labels != colours[0][1])
            inner = max(_patches(inside), key=lambda part: (part & here).sum())
            things.append(_thing(_filled(inner), colour))
    return things


def holds(relation, one, other):
    """Whether the boxes stand in the relation."""
    a, b = one["box"], other["box"]
    middle = lambda box: ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    (ax, ay), (bx, by) = middle(a), middle(b)
    if relation == "inside":
        return a[0] >= b[0] - 1 and a[1] >= b[1] - 1 and a[2] <= b[2] + 1 and a[3] <= b[3] + 1
    clear = 8
    return {"left of": bx - ax, "right of": ax - bx, "above": by - ay,
            "below": ay - by}[relation] > clear


def mistakes(scene, picture):
    """What in the picture is not as the scene says; empty when all is right."""
    things = read_things(picture)
    wrong, found = [], []
    for wanted in scene.things:
        fitting = [t for t in things if (t["kind"], t["colour"]) == (wanted.kind, wanted.colour)]
        found.append(fitting[0] if len(fitting) == 1 else None)
        if len(fitting) != 1:
            wrong.append(f"{len(fitting)} times {wanted.colour} {wanted.kind}")
    if len(things) > len(scene.things):
        wrong.append(f"{len(things)} things for {len(scene.things)}")
    for one, relation, others in scene.relations:
        for other in (others if isinstance(others, tuple) else (others,)):
            if found[one] and found[other] and not holds(relation, found[one], found[other]):
                wrong.append(f"{scene.things[one].kind} not {relation} {scene.things[other].kind}")
    return wrong
