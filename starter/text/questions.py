"""Writes the questions that training never sees: python3 questions.py FACTS OUT."""
import json
import random
import sys

import corpus as corpora
import skills


def main():
    corpus = corpora.Corpus(sys.argv[1])
    rng = random.Random(11)
    objects = []
    for i in range(60):
        frames = skills.JSON_KEPT_OUT if i % 2 else skills.JSON_FRAMES
        answer = "[]"
        while answer.startswith("["):
            question, answer = skills.json_object(corpus.words, rng, frames)
        objects.append({"question": question, "keys": list(json.loads(answer))})
    sums = [skills.sums(rng, skills.SUMS_KEPT_OUT) for _ in range(30)]
    out = {
        "corpus": corpus.hash, "facts": corpus.questions, "json": objects, "sums":
        [{"question": q, "must": [a]} for q, a in sums], "refused":
        [skills.refuse(corpus.words, rng, skills.NO_KEPT_OUT)[0] for _ in range(30)]
    }
    with open(sys.argv[2], "w") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
