"""Byte-level BPE with Qwen2's cut (llama.cpp's pre-tokenizer "qwen2"): training, encoding, files.

A piece is what the cut leaves; its bytes are merged by rank. With `dropout` merges are left out by
chance, so that a model meets words in other pieces and stands typing errors.
"""
import json
from collections import Counter, defaultdict

import regex

CUT = regex.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_letters():
    """The letter that stands for each byte in vocabularies of this kind (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(plain))
    return letters


LETTERS = byte_letters()


def train_merges(texts, count):
    """The `count` merges that shorten `texts` most, greedily, most frequent pair first."""
    pieces = Counter()
    for text in texts:
        pieces.update(CUT.findall(text))
    words = [[LETTERS[b] for b in piece.encode()] for piece in pieces]
    weights = list(pieces.values())
    pairs, where = Counter(), defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += weights[i]
            where[pair].add(i)
    merges = []
    while len(merges) < count and pairs:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < 2:
            break
        merges.append(best)
        for i in list(where[best]):
            old = words[i]
            new = merge_once(old, best)
            for pair in zip(old, old[1:]):
                pairs[pair] -= weights[i]
            for pair in zip(new, new[1:]):
                pairs[pair] += weights[i]
                where[pair].add(i)
            words[i] = new
        del pairs[best]
    return merges


def merge_once(word, pair):
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) == pair:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


class Tokenizer:

    def __init__(self, merges):
        self.merges = [tuple(pair) for pair in merges]
        self.tokens = [LETTERS[b] for b in range(256)] + [a + b for a, b in self.merges] + SPECIAL
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.rank = {pair: i for i, pair in enumerate(self.merges)}
        self.bytes = {letter: byte for byte, letter in LETTERS.items()}
        self.known = {}
        self.end, self.im_start, self.im_end = (self.ids[name] for name in SPECIAL)

    def __len__(self):
        return len(self.tokens)

    def encode(self, text, dropout=0.0, rng=None):
        out = []
        for piece in CUT.findall(text):
            if dropout > 0:
                out += self.encode_piece(piece, dropout, rng)
                continue
            if piece not in self.known:
                self.known[piece] = self.encode_piece(piece)
            out += self.known[piece]
        return out

    def encode_piece(self, piece, dropout=0.0, rng=None):
        word = [LETTERS[b] for b in piece.encode()]
        while len(word) > 1:
            ranked = [(self.rank[pair], i) for i, pair in enumerate(zip(word, word[1:]))
                      if pair in self.rank and not (dropout and rng.random() < dropout)]
            if not ranked:
                break
            i = min(ranked)[1]
            word[i:i + 2] = [word[i] + word[i + 1]]
        return [self.ids[token] for token in word]

    def decode(self, ids):
        plain = bytearray()
        for i in ids:
            token = self.tokens[i]
            plain += token.encode() if token in SPECIAL else bytes(self.bytes[c] for c in token)
        return plain.decode(errors="replace")

    def save(self, path):
        with open(path, "w") as file:
            json.dump({"merges": [" ".join(pair) for pair in self.merges]}, file)

    @staticmethod
    def load(path):
        with open(path) as file:
            return Tokenizer([merge.split(" ") for merge in json.load(file)["merges"]])
