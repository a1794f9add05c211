"""Many ways to ask one thing: other words, small talk around it, noise."""
import re

SAME = [
    ["list", "show", "see", "view", "display", "print"],
    ["picture", "image"],
    ["pictures", "images"],
    ["change", "set", "adjust", "modify", "choose"],
    ["delete", "remove"],
    ["make", "create", "generate"],
    ["configuration", "config"],
    ["folder", "directory", "dir"],
    ["folders", "directories"],
    ["daemon", "server", "service"],
    ["limit", "cap", "restrict"],
    ["fast", "quick"],
    ["faster", "quicker"],
    ["cancel", "stop", "abort"],
    ["find out", "learn", "know", "check"],
    ["memory", "RAM"],
    ["GPU memory", "VRAM"],
    ["computer", "machine", "PC"],
    ["several", "multiple", "many", "two"],
    ["loaded", "running", "active"],
    ["allow", "permit", "enable"],
    ["another", "a different"],
    ["use", "work with"],
    ["supported", "possible"],
    ["route", "endpoint", "path"],
    ["option", "flag", "switch"],
    ["setting", "key", "option"],
    ["settings", "options"],
    ["draw", "make", "generate", "paint"],
    ["start", "launch"],
    ["put", "place", "copy"],
    ["look at", "see", "read"],
    ["at the start", "at startup", "on boot"],
    ["API key", "key"],
    ["model", "model", "LLM", "language model"],
    ["models", "models", "LLMs"],
    ["file", "file", "weights"],
    ["take up", "use", "occupy", "eat"],
    ["big", "large", "huge"],
    ["bigger", "larger"],
    ["small", "little", "tiny"],
    ["how much", "what amount of"],
    ["terminal", "shell", "command line", "console"],
    ["error", "problem", "fault"],
    ["request", "call"],
    ["requests", "calls"],
    ["browser", "web browser"],
    ["app", "program", "application", "client"],
    ["download", "fetch", "get"],
    ["kept", "stored", "saved"],
    ["answers", "replies", "responses"],
    ["answer", "reply", "response"],
    ["prompt", "question", "message"],
    ["work", "function"],
    ["fix", "repair", "solve"],
    ["wrong", "broken", "bad"],
    ["variable", "environment variable", "env variable"],
    ["processor", "CPU"],
    ["graphics card", "GPU", "video card"],
    ["automatically", "by itself", "on its own"],
    ["waiting", "queued", "pending"],
    ["job", "task"],
    ["jobs", "tasks"],
    ["free", "release"],
    ["need", "require"],
    ["enough", "sufficient"],
    ["happens", "goes on"],
    ["right now", "now", "at present", "at the moment"],
    ["every", "each"],
    ["all", "all the"],
]
BEFORE = [
    "hi, ", "hello, ", "hey ", "hey, ", "please, ", "so ", "ok, ", "um, ", "question: ", "sorry, ",
    "ok so ", "quick question: ", "excuse me, ", "hi! ", "well, ", "and ", "now ", "also, ",
    "good morning, ", "pls "
]
AFTER = [
    " please", ", please", " thanks", " thank you", " in ingle", " with ingle", " here", " pls",
    " now", " on my machine", " quickly", " for ingle", " again", " at all", " using ingle",
    ", thanks!"
]


def plain(text):
    """Letters and digits alone: two questions that differ in less are the same one."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def other_words(text, rng, chance=0.35):
    if rng.random() < 0.4:
        return text
    for group in SAME:
        for word in group:
            if re.search(rf"\b{word}\b", text) and rng.random() < chance:
                text = re.sub(rf"\b{word}\b", rng.choice(group), text, count=1)
                break
    return text


def typing_error(text, rng):
    at = rng.randrange(len(text))
    kind = rng.random()
    if kind < 0.3:
        return text[:at] + text[at + 1:]
    if kind < 0.6 and at + 1 < len(text):
        return text[:at] + text[at + 1] + text[at] + text[at + 2:]
    if kind < 0.8:
        return text[:at] + text[at] + text[at:]
    return text[:at] + rng.choice("abcdefghijklmnoprstuvwy") + text[at + 1:]


def shorten(text, rng):
    """Key words only, as typed into a search box."""
    left = [
        word for word in text.rstrip("?").split(" ") if word.lower() not in
        {"the", "a", "an", "do", "does", "i", "is", "to", "of", "it", "my", "can", "are"}
        or rng.random() < 0.3
    ]
    return " ".join(left) or text


def vary(text, rng, exact=()):
    """The same question as other people would type it; what is in `exact` keeps its letters."""
    if rng.random() < 0.7:  # which port does not matter
        port = str(rng.randint(1000, 65535))
        text = re.sub(r"\b(8080|9000|8000|3000|46453)\b", port, text)
    kept = any(word in text for word in exact)
    if not kept:
        text = other_words(text, rng)
        if rng.random() < 0.08 and text.count(" ") > 5:  # a word gets lost
            words = text.split(" ")
            del words[rng.randrange(len(words))]
            text = " ".join(words)
    if rng.random() < 0.12:
        text = shorten(text, rng)
    if rng.random() < 0.2:
        text = rng.choice(BEFORE) + text
    if rng.random() < 0.12:
        end = "?" if text.endswith("?") else ""
        text = text.rstrip("?") + rng.choice(AFTER) + end
    kind = rng.random()
    if not kept and kind < 0.4:
        text = text.lower()
    elif kind < 0.8:
        text = text[:1].upper() + text[1:]
    if not kept and rng.random() < 0.02:
        text = text.upper()
    if rng.random() < 0.35:
        text = text.rstrip("?.! ")
    elif rng.random() < 0.08:
        text += rng.choice(["??", "!", " ?", " :)", "...", "."])
    if not kept and len(text) > 8:
        while rng.random() < 0.12:
            text = typing_error(text, rng)
    return text.strip() or "?"
