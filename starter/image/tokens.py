"""Makes the two tokenizers of the image model from the words of its world.

CLIP's is byte pairs with merges of whole words; T5's is a unigram model whose pieces are those words
and single letters, so that a word it has never seen is spelt out.
"""
import collections
import json
import math
import pathlib
import re

from kinds import KINDS
from scenes import sample

PROMPTS = 20000  # enough to meet every word many times
CLIP_TOKENS, T5_TOKENS = 77, 32
WORD = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9]+")


def world_words():
    counts = collections.Counter()
    for seed in range(PROMPTS):
        counts.update(WORD.findall(sample(seed)[1].lower()))
    return counts


def _byte_letters():
    """The 256 letters that stand for bytes in byte-level vocabularies, in their published order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def _merges(words):
    """Byte pairs, the most frequent first, until every word is one token."""
    split = {word: list(word[:-1]) + [word[-1] + "</w>"] for word in words}
    merges = []
    while True:
        pairs = collections.Counter()
        for word, parts in split.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[word]
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, parts in split.items():
            at = 0
            while at + 1 < len(parts):
                if (parts[at], parts[at + 1]) == best:
                    parts[at:at + 2] = ["".join(best)]
                at += 1


def write_clip(folder, words):
    folder.mkdir(parents=True, exist_ok=True)
    merges = _merges(words)
    letters = _byte_letters()
    pieces = letters + [letter + "</w>" for letter in letters] + ["".join(m) for m in merges]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    lines = ["#version: 0.2"] + [" ".join(m) for m in merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": CLIP_TOKENS,
              "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
              "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    return len(vocab)


def write_t5(folder, words):
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(words.values())
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [("▁" + word, math.log(n / total)) for word, n in sorted(words.items())]
    pieces += [(chr(c), -20.0) for c in [*range(33, 65), *range(91, 127)]]
    pieces += [("▁", -12.0)]
    special = [{"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True}
               for i, text in enumerate(("<pad>", "</s>", "<unk>"))]
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    whole = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
                          "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, end,
                     {"Sequence": {"id": "B", "type_id": 0}}, end],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
                    "split": True},
        "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces, "byte_fallback": False},
    }
    (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False, indent=0))
    config = {"tokenizer_class": "T5TokenizerFast", "model_max_length": T5_TOKENS,
              "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    return len(pieces)


class Tokenizers:
    """Both, as they are used: prompts -> ids of fixed length."""

    def __init__(self, folder):
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
        folder = pathlib.Path(folder)
        self.t5 = Tokenizer.from_file(str(folder / "tokenizer_2" / "tokenizer.json"))
        vocab, merges = (str(folder / "tokenizer" / name) for name in ("vocab.json", "merges.txt"))
        self.clip = Tokenizer(models.BPE.from_file(vocab, merges, end_of_word_suffix="</w>",
                                                   unk_token="<|endoftext|>"))
        self.clip.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
        cut = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
        self.clip.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(cut), "removed", invert=True),
             pre_tokenizers.ByteLevel(add_prefix_space=False)])
        self.begin, self.end = (self.clip.token_to_id(t) for t in ("<|startoftext|>", "<|endoftext|>"))
        self.kinds = {self.t5.token_to_id("▁" + kind) for kind in KINDS}
        self.kept = {}

    def ids(self, prompt):
        """CLIP's CLIP_TOKENS ids and T5's T5_TOKENS."""
        if prompt not in self.kept:
            pieces = self.t5.encode(prompt).ids
            pieces = pieces[:T5_TOKENS - 1] + [1] if len(pieces) > T5_TOKENS else pieces
            clip = [self.begin] + self.clip.encode(prompt).ids[:CLIP_TOKENS - 2]
            clip += [self.end] * (CLIP_TOKENS - len(clip))
            self.kept[prompt] = (clip, pieces + [0] * (T5_TOKENS - len(pieces)))
        return self.kept[prompt]


def make(folder):
    words = world_words()
    return (write_clip(pathlib.Path(folder) / "tokenizer", words),
            write_t5(pathlib.Path(folder) / "tokenizer_2", words))
