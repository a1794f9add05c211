"""Compares a GGUF file with what was trained: python3 check.py FOLDER MODEL.gguf.

Through the packaged llama-server: tokens of hostile strings, the chat template against the one that
training used, and the chances of the next token after prompts. Ends with 1 where something is off.
"""
import json
import random
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import torch

import corpus as corpora
from model import Model, Shape
from tokenizer import Tokenizer

# Quantised to 8 bits: the chances of the ten likeliest tokens may be off by this much.
CHANCE_TOLERANCE = 0.05
PORT = 46977
HOSTILE = [
    "",
    " ",
    "  ",
    "\n",
    " \n\n ",
    "\r\n",
    "\t\ttab",
    "a  b   c ",
    "don't DON'T we'LL x'",
    "12345 3.14 1e-9",
    "model_not_found",
    "--keep-alive -1",
    "`ingle ls`",
    "~/.local/share/ingle/models",
    "{\"a\": [1, 2, {\"b\": null}]}",
    "Grüße, Ærø, naïve",
    "日本語のテキスト",
    "Привет мир",
    "🙂👩‍👩‍👧 e\u0301 \u200b\u00a0x",
    "<|im_start|",
    "<tool_call>\n{}\n</tool_call>",
    "…—«»“”",
    "a\u2028b\u0085c",
    "١٢٣ ½ ²",
    "\u3000wide\u3000",
    "!!!???...\n\n",
    "'s't're",
    "_x__y_",
    "\x00\x01\x7f",
    "ﬁ ﬀ Ａ１",
    "x" * 300,
    "क्षत्रिय ไทย עברית العربية",
    " leading",
    "trailing ",
    "CamelCaseAndUPPER",
    "a.b.c/d\\e",
    "\u1e9e ſ K",
    "\ufeffbom",
]


def ask(path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}",
                                     json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def start(path):
    server = subprocess.Popen([
        "llama-server", "-m", path, "--port",
        str(PORT), "--host", "127.0.0.1", "--no-ui", "-c", "2048", "-np", "1", "--jinja", "-t", "2"
    ],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=1)
            return server
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.05)
    server.kill()
    raise SystemExit("check.py: llama-server does not take the file")


def written(dialogue):
    return "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n"
                   for role, text in dialogue) + "<|im_start|>assistant\n"


def check_tokens(tokenizer, corpus, rng):
    texts = HOSTILE + [text for _ in range(200) for _, text in corpus.dialogue(rng)]
    texts += [
        "".join(
            chr(
                rng.choice([
                    rng.randrange(32, 127),
                    rng.randrange(160, 0x2000),
                    rng.randrange(0x3000, 0xD000)
                ])) for _ in range(40)) for _ in range(100)
    ]
    off = []
    for text in texts:
        got = ask("/tokenize",
                  {"content": text, "add_special": False, "parse_special": False})["tokens"]
        if got != tokenizer.encode(text):
            off.append((text, tokenizer.encode(text), got))
    for text, ours, theirs in off[:8]:
        print(
            f"tokens differ: {text!r}: {[tokenizer.tokens[i] for i in ours]} "
            f"{[tokenizer.tokens[i] for i in theirs]}"
        )
    return len(texts), len(off)


def check_template():
    tool = {
        "name": "get_time", "description": "Time", "parameters":
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    }
    call = {
        "id": "1", "type": "function", "function":
        {"name": "get_time", "arguments": "{\"city\": \"Oslo\"}"}
    }
    user = {"role": "user", "content": "time in Oslo?"}
    said = [("user", "time in Oslo?"),
            ("assistant",
             '<tool_call>\n{"name": "get_time", "arguments": {"city": "Oslo"}}\n</tool_call>'),
            ("tool", "12:00")]
    offer = ("system", f"Be brief.\nTools:\n{json.dumps(tool)}\n{corpora.TOOL_SYSTEM}")
    cases = [
        ({"messages": [user]}, said[:1]),
        ({"messages": [{"role": "system", "content": "Be brief."}, user]}, [("system", "Be brief."),
                                                                            *said[:1]]),
        ({
            "messages": [{"role": "system", "content": "Be brief."}, user,
                         {"role": "assistant", "content": "", "tool_calls":
                          [call]}, {"role": "tool", "content": "12:00", "tool_call_id": "1"}],
            "tools": [{"type": "function", "function": tool}]
        }, [offer, *said]),
    ]
    off = 0
    for body, dialogue in cases:
        got = ask("/apply-template", body)["prompt"]
        if got != written(dialogue):
            print(f"the template says {got!r}\nnot {written(dialogue)!r}")
            off += 1
    return off


def check_chances(model, tokenizer, corpus, rng, count=60):
    worst = 0.0
    for _ in range(count):
        dialogue = corpus.dialogue(rng)
        ids = []
        for role, text in dialogue[:-1]:
            ids += [
                tokenizer.im_start, *tokenizer.encode(f"{role}\n"), *tokenizer.encode(text),
                tokenizer.im_end, *tokenizer.encode("\n")
            ]
        ids += [tokenizer.im_start, *tokenizer.encode("assistant\n")]
        answer = tokenizer.encode(dialogue[-1][1])
        ids += answer[:rng.randint(0, len(answer) - 1)]
        with torch.no_grad():
            logits = model(torch.tensor([ids]),
                           torch.zeros(1, len(ids), dtype=torch.long),
                           kind=torch.float32)[0, -1]
        chances = torch.softmax(logits, 0)
        got = ask(
            "/completion",
            {"prompt": ids, "n_predict": 1, "temperature": 0, "n_probs": 10, "cache_prompt": False})
        for entry in got["completion_probabilities"][0]["top_logprobs"]:
            worst = max(worst,
                        abs(chances[entry["id"]].item() - 2.718281828459045**entry["logprob"]))
    return worst


def main():
    folder, path = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(2)
    held = torch.load(folder / "checkpoint.pt", weights_only=True, map_location="cpu")
    model = Model(Shape(**held["shape"]))
    model.load_state_dict(held["model"])
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    corpus, rng = corpora.Corpus(folder / "facts.json"), random.Random(5)
    server = start(path)
    try:
        count, off = check_tokens(tokenizer, corpus, rng)
        templates_off = check_template()
        worst = check_chances(model, tokenizer, corpus, rng)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)
    print(
        f"tokens: {off} of {count} texts differ; template: {templates_off} differ; "
        f"chances: at most {worst:.4f} off (tolerance {CHANCE_TOLERANCE})")
    sys.exit(1 if off or templates_off or worst > CHANCE_TOLERANCE else 0)


if __name__ == "__main__":
    main()
