"""The facts as a table: what has to be in an answer, the answer, and wordings of the question.

A fact's words come from facts.json (facts.mjs); phrases.txt and topics.txt add wordings, and stop
the build when they name what is no longer there.
"""
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass
class Fact:
    id: str
    must: list  # what every answer has to hold
    answer: str
    weight: float
    wordings: dict = field(default_factory=dict)  # kind -> list
    exact: list = field(default_factory=list)  # terms that are never respelt

    def add(self, kind, *texts):
        self.wordings.setdefault(kind, []).extend(texts)


def low(text):
    """As it reads after a colon; names such as GPU keep their letters."""
    text = text.strip().rstrip(".")
    return text if re.match(r"[A-Z]{2}|[A-Z]1|SQL", text) else text[:1].lower() + text[1:]


def usage(command):
    names = [p["name"].split("|")[0].upper() for p in command["positionals"]]
    shown = {"WHAT": "FILE", "SOURCE": "MODEL", "PROMPT": '"PROMPT"'}
    return " ".join([command["name"], *(shown.get(name, name) for name in names)])


def command_facts(commands):
    by_name = {command["name"]: command for command in commands}
    for command in commands:
        name, about = command["name"], low(command["about"])
        subs = [by_name[f"{name} {sub}"] for sub in command["commands"]]
        if subs and not command["options"]:
            runs = ", ".join(f"`{usage(sub)}`" for sub in subs)
        else:
            runs = f"`{usage(command)}`"
        must = [subs[0]["name"]] if subs and not command["options"] else [name]
        fact = Fact(name, must, f"To {about}, run {runs}.", 3.0, exact=[name])
        fact.add("V", about)
        fact.add("T", name, f"`{name}`", f"the command {name}", f"the {name} command")
        if " " not in name[6:]:
            fact.add("T", f"the {name[6:]} command")
        yield fact
        flags = [option["flags"][-1] for option in command["options"]]
        if flags:
            fact = Fact(f"{name} options", [flags[0]],
                        f"`{name}` takes {', '.join(flags)}.",
                        0.8,
                        exact=[name])
            fact.add(
                "Q",
                *(form.format(name)
                  for form in ("which options does {} have?", "what options does {} take?",
                               "options of {}", "{} --help", "{} help", "list the flags of {}",
                               "which flags are there for {}?", "what can I pass to {}?",
                               "arguments of {}?", "how do I get help for {}?",
                               "which switches does {} know?", "what parameters does {} accept?")))
            yield fact


def option_facts(commands):
    shared = {}
    for command in commands:
        for option in command["options"]:
            shared.setdefault(option["flags"][-1], []).append((command, option))
    for flag, uses in shared.items():
        seen = {}
        for command, option in uses:
            name, value = command["name"], option["value"].split("|")[0]
            full = f"{name} {flag} {value}".rstrip()
            fact = Fact(f"{name} {flag}", [flag],
                        f"`{full}`: {low(option['about'])}.",
                        0.5,
                        exact=[flag])
            fact.add("T", f"{name} {flag}", f"{flag} of {name}", f"`{name} {flag}`",
                     f"the {flag} option of {name}", f"the flag {flag} of {name}",
                     f"{flag} in {name}")
            for short in option["flags"][:-1]:
                fact.add("T", f"{name} {short}", f"{short} of {name}")
            fact.add("Q", f"which option of {name} is for this: {low(option['about'])}?")
            if len(uses) == 1:
                fact.add("T", flag, f"the {flag} option", f"the option {flag}", f"`{flag}`",
                         f"the flag {flag}")
            seen.setdefault(low(option["about"]), []).append(name)
            yield fact
        if len(uses) > 1:
            says = "; ".join(f"{about} ({', '.join(f'`{name}`' for name in names[:3])})"
                             for about, names in seen.items())
            fact = Fact(f"{flag}", [flag], f"`{flag}`: {says}.", 0.5, exact=[flag])
            fact.add("T", flag, f"the {flag} option", f"the option {flag}", f"`{flag}`",
                     f"the flag {flag}")
            yield fact


def key_facts(keys):
    before = ""
    for key in keys:
        name, doc, value = key["key"], low(key["doc"]), key["default"]
        if doc.startswith("the same"):  # as the key before it
            doc = f"as `{before}`, {doc[9:]}"
        before = name
        fact = Fact(name, [name, value],
                    f"Set `{name}` in ingle.toml (default {value}): {doc}.",
                    1.5,
                    exact=[name, key["variable"]])
        fact.add("T", name, f"`{name}`", f"the key {name}", f"the setting {name}",
                 f"{name} in ingle.toml", f"the default of {name}", f"the default value of {name}",
                 f"the config key {name}")
        fact.add("V", f"set {name}", f"change {name}", f"configure {name}")
        fact.add("Q", f"which key is for this: {doc.split(';')[0]}?",
                 f"which setting is for {doc.split(';')[0]}?", f"default of {name}?",
                 f"which value has {name} by default?")
        yield fact
        fact = Fact(f"{name} variable", [key["variable"]],
                    f"The variable of `{name}` is {key['variable']}.",
                    0.5,
                    exact=[name])
        fact.add(
            "Q",
            *(form.format(name)
              for form in ("which variable sets {}?", "what is the environment variable of {}?",
                           "env var for {}", "variable of {}?",
                           "how do I set {} by the environment?",
                           "what's the environment variable for {}?", "{} as a variable?",
                           "which environment variable belongs to {}?")))
        yield fact
        fact = Fact(key["variable"], [name],
                    f"{key['variable']} sets `{name}`: {doc}.",
                    0.4,
                    exact=[key["variable"]])
        fact.add("T", key["variable"], f"the variable {key['variable']}",
                 f"the environment variable {key['variable']}")
        yield fact


def error_facts(errors):
    for error in errors:
        code = error["code"]
        fact = Fact(code, [code],
                    f"`{code}`: {error['meaning']}. What to do: {error['remedy']}.",
                    1.5,
                    exact=[code])
        fact.add("T", code, f"`{code}`", f"the error {code}", f"the error code {code}",
                 f"the code {code}", f"a {code} error")
        fact.add("P", f"I get {code}", f"it says {code}", f"I see the error {code}",
                 f"ingle answers {code}", f"it fails with {code}", low(error["meaning"]))
        yield fact


def route_facts(routes):
    by_path = {}
    summaries = [route["summary"] for route in routes]
    for route in routes:
        by_path.setdefault(route["path"], []).append(route)
    for path, verbs in by_path.items():
        says = "; ".join(f"`{v['method']} {path}`: {low(v['summary'])}" for v in verbs)
        fact = Fact(f"{verbs[0]['method']} {path}", [path], f"{says}.", 0.8, exact=[path])
        fact.add("T", path, f"`{path}`", f"the route {path}", f"the path {path}",
                 f"the endpoint {path}")
        for v in verbs:
            fact.add("T", f"{v['method']} {path}")
            if summaries.count(v["summary"]) > 1:
                continue
            fact.add(
                "Q",
                *(form.format(low(v["summary"]))
                  for form in ("which route is for this: {}?", "which path tells {}?",
                               "API route: {}", "which endpoint gives {}?", "over HTTP: {}?",
                               "what do I call for this: {}?")))
        yield fact


def blocks(name):
    """Blocks that begin with [id]; each is {kind: [wordings]}, or {word: text} for topics."""
    out, block = {}, None
    for line in (HERE / name).read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("["):
            block = out.setdefault(line.strip("[]"), {})
        else:
            kind, _, text = line.partition(": ")
            block.setdefault(kind, []).append(text)
    return out


def add_wordings(fact, block):
    for kind in "VTPQH":
        for line in block.get(kind, []):
            fact.add(kind, *(text.strip() for text in line.split(";") if text.strip()))


def topic_facts(paragraphs):
    texts = [p.get("text") or p.get("code") for p in paragraphs]
    for name, block in blocks("topics.txt").items():
        groups = []
        for part in block["from"][0].split(" ~~ "):
            found = next((m for m in (re.search(part, text) for text in texts) if m), None)
            if not found:
                raise SystemExit(
                    f"topics.txt: README.md no longer says what [{name}] is from: {part}")
            groups += found.groups()
        fill = lambda text: re.sub(r"\\(\d)", lambda m: groups[int(m[1]) - 1], text)
        fact = Fact(name, [fill(must).replace("`", "") for must in block["must"]],
                    fill(block["say"][0]), 3.0)
        fact.answer = fact.answer[:1].upper() + fact.answer[1:] if not fact.answer.startswith(
            "ingle") else fact.answer
        add_wordings(fact, block)
        yield fact


def load(path):
    """Every fact; the wordings that are kept out of training stand under "H"."""
    raw = json.loads(Path(path).read_text())
    facts = [
        *command_facts(raw["commands"]), *option_facts(raw["commands"]), *key_facts(raw["keys"]),
        *error_facts(raw["errors"]), *route_facts(raw["routes"]), *topic_facts(raw["readme"])
    ]
    by_id = {fact.id: fact for fact in facts}
    for name, block in blocks("phrases.txt").items():
        if name not in by_id:
            raise SystemExit(
                f"phrases.txt: ingle has no '{name}' any more: change or remove the block")
        add_wordings(by_id[name], block)
        by_id[name].weight = max(by_id[name].weight, 1.2)
    for fact in facts:
        fact.must = [must.replace("`", "") for must in fact.must]
        # What people ask for in many ways they ask for more often.
        fact.weight += 0.04 * min(60, sum(len(fact.wordings.get(kind, [])) for kind in "VPQ"))
    return facts
