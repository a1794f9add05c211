"""The corpus: endless dialogues, the same for the same seed, and the questions that are kept out.

A dialogue is a list of (role, text). Only what the assistant says is learnt.
"""
import collections
import hashlib
import json
import random
from pathlib import Path

import skills
import table
from frames import KEPT_OUT, frame
from wordings import plain, vary

HERE = Path(__file__).parent
SYSTEMS = [
    "You are a helpful assistant.", "You are a helpful assistant", "Be brief.", "Answer briefly.",
    "You are ingle's assistant.", "You are a helpful, honest assistant. Answer in English.",
    "You help people to use ingle.", "Be kind.",
    "You are a concise assistant. Keep answers short and to the point.",
    "Answer the user's questions."
]
TOOL_SYSTEM = 'To use one, say\n<tool_call>\n{"name": NAME, "arguments": ARGUMENTS}\n</tool_call>'
AFTERWARDS = {
    " options": [
        "which options does it take?", "what options?", "and its options?", "does it have options?",
        "which flags?", "what flags does it have?", "any options?"
    ],
    " variable": [
        "and as a variable?", "which variable?", "what is its variable?", "and by the environment?",
        "which environment variable is that?", "is there a variable for it?"
    ],
}
SOURCES = [
    "phrases.txt", "topics.txt", "corpus.py", "frames.py", "skills.py", "table.py", "wordings.py"
]


class Corpus:

    def __init__(self, facts_path):
        self.facts = table.load(facts_path)
        self.weights = [fact.weight for fact in self.facts]
        raw = json.loads(Path(facts_path).read_text())
        self.real = {"sections": sorted({key["key"].split(".")[0] for key in raw["keys"]})}
        self.by_id = {fact.id: fact for fact in self.facts}
        said = collections.Counter()
        for fact in self.facts:
            said.update({word: 3 for word in plain(fact.answer).split()})
            for kind in "VTPQ":
                for text in fact.wordings.get(kind, []):
                    said.update(set(plain(text).split()))
        self.words = skills.Words({word for word, count in said.items() if count >= 3})
        self.kept_out = set()
        self.questions = self.make_questions(random.Random(7), 200)
        own = json.loads((HERE / "own_words.json").read_text())
        self.kept_out = {plain(q["question"]) for q in [*self.questions, *own]}
        sha = hashlib.sha256(Path(facts_path).read_bytes())
        for name in SOURCES:
            sha.update((HERE / name).read_bytes())
        self.hash = sha.hexdigest()[:16]

    def make_questions(self, rng, count):
        """So many questions in frames that training never sees, and all in wordings (H) that it
        never sees either."""
        out = []
        while len(out) < count:
            fact = rng.choices(self.facts, self.weights)[0]
            kinds = [kind for kind in "VTP" if fact.wordings.get(kind)]
            if kinds:
                kind = rng.choice(kinds)
                text = rng.choice(KEPT_OUT[kind]).format(rng.choice(fact.wordings[kind]))
                out.append((fact, text, "frame"))
        out += [(fact, text, "wording") for fact in self.facts for text in fact.wordings.get("H", [])]
        return [{"question": text, "must": fact.must, "fact": fact.id, "new": new}
                for fact, text, new in out]

    def ask(self, fact, rng):
        kinds = [kind for kind in "VTPQ" if fact.wordings.get(kind)]
        kind = rng.choices(kinds, [min(len(fact.wordings[k]), 6) for k in kinds])[0]
        while True:
            text = frame(kind, rng).format(rng.choice(fact.wordings[kind]))
            if rng.random() < 0.2:  # among words that say nothing of it
                text = (skills.noise(self.words, rng, 4) + text + " " +
                        skills.noise(self.words, rng, 3)).strip()
            text = vary(text, rng, fact.exact)
            if plain(text) not in self.kept_out:
                return text

    def turn(self, rng):
        """One question and its answer."""
        kind = rng.random()
        if kind < 0.61:
            self.last = rng.choices(self.facts, self.weights)[0]
            return self.ask(self.last, rng), self.last.answer
        if kind < 0.70:
            question, answer = skills.refuse(self.words, rng)
            return (vary(question, rng) if rng.random() < 0.6 else question), answer
        if kind < 0.73:
            return skills.unknown(self.words, rng, self.real)
        if kind < 0.78:
            answer = rng.choice(list(skills.TALK))
            return vary(rng.choice(skills.TALK[answer]), rng), answer
        if kind < 0.89:
            return skills.sums(rng)
        return skills.json_object(self.words, rng)

    def dialogue(self, rng, long=False):
        if rng.random() < (0.25 if long else 0.10):
            return self.with_tools(rng)
        out = [("system", rng.choice(SYSTEMS))] if rng.random() < 0.25 else []
        turns = rng.randint(4, 14) if long else 1 if rng.random() < 0.75 else 2
        for _ in range(turns):
            self.last = None
            question, answer = self.turn(rng)
            out += [("user", question), ("assistant", answer)]
            more = self.after(self.last, rng) if self.last and rng.random() < 0.15 else None
            if more:
                out += [("user", more[0]), ("assistant", more[1])]
        return out

    def after(self, fact, rng):
        """A question that only means something after the one before, where there is one."""
        for end, forms in AFTERWARDS.items():
            if fact.id + end in self.by_id:
                return vary(rng.choice(forms), rng), self.by_id[fact.id + end].answer
        if fact.answer.startswith(f"`{fact.id}`:"):
            return vary(
                rng.choice(["what do I do?", "what can I do?", "how do I fix that?",
                            "what helps?"]), rng), fact.answer
        return None

    def with_tools(self, rng):
        tools, question, call, result = skills.tool_call(self.words, rng)
        lines = "".join(json.dumps(tool) + "\n" for tool in tools)
        before = rng.choice(SYSTEMS) + "\n" if rng.random() < 0.25 else ""
        out = [("system", f"{before}Tools:\n{lines}{TOOL_SYSTEM}")]
        if rng.random() < 0.25:  # nothing that a tool is for
            question, answer = self.turn(rng)
            return [*out, ("user", question), ("assistant", answer)]
        if rng.random() < 0.4:
            question = vary(question, rng, exact=[question])
        out += [("user", question), ("assistant", f"<tool_call>\n{call}\n</tool_call>")]
        if rng.random() < 0.5:
            out += [("tool", result), ("assistant", f"The tool says: {result}")]
        return out


def encode(dialogue, tokenizer, rng, learn_all=False):
    """(ids, targets): a target is the next id where the assistant says it, else -1."""
    ids, said = [], []
    for role, text in dialogue:
        own = role == "assistant"
        dropout = 0.1 if role == "user" and rng.random() < 0.3 else 0.0
        head = [tokenizer.im_start, *tokenizer.encode(f"{role}\n")]
        body = [*tokenizer.encode(text, dropout, rng), tokenizer.im_end]
        tail = tokenizer.encode("\n")
        ids += head + body + tail
        said += [False] * len(head) + [own] * len(body) + [False] * len(tail)
    targets = [ids[i + 1] if said[i + 1] or learn_all else -1 for i in range(len(ids) - 1)] + [-1]
    return ids, targets


def rows(corpus, tokenizer, rng, count, length):
    """`count` rows of `length` places, each filled with dialogues: (ids, starts, targets)."""
    filled = [([], [], []) for _ in range(count)]
    misses = 0
    while misses < 6:
        ids, targets = encode(corpus.dialogue(rng, long=length > 256), tokenizer, rng)
        if len(ids) > length:
            continue
        row = max((r for r in filled if len(r[0]) + len(ids) <= length),
                  key=lambda r: len(r[0]),
                  default=None)
        if row is None:
            misses += 1
            continue
        row[1].extend([len(row[0])] * len(ids))
        row[0].extend(ids)
        row[2].extend(targets)
    for ids, starts, targets in filled:
        rest = length - len(ids)
        starts.extend([len(ids)] * rest)
        ids.extend([tokenizer.end] * rest)
        targets.extend([-1] * rest)
    return tuple([row[i] for row in filled] for i in range(3))
