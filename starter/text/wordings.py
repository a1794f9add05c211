"""Many ways to ask one thing: frames around a wording, other words, small talk around it, noise."""
import hashlib
import re

# Around a verb phrase ("list the models").
VERB = [
    "how do I {}?",
    "how do I {}?",
    "how can I {}?",
    "how to {}?",
    "how to {}",
    "{}",
    "{}?",
    "how would I {}?",
    "what is the command to {}?",
    "which command do I use to {}?",
    "what command is there to {}?",
    "I want to {}",
    "I'd like to {}",
    "I need to {}",
    "can I {}?",
    "could I {}?",
    "is it possible to {}?",
    "is there a way to {}?",
    "show me how to {}",
    "tell me how to {}",
    "explain how to {}",
    "help me {}",
    "help me to {}",
    "what do I do to {}?",
    "what do I type to {}?",
    "what should I do if I want to {}?",
    "how does one {}?",
    "how do you {}?",
    "how do we {}?",
    "can you tell me how to {}?",
    "can you explain how to {}?",
    "could you tell me how I can {}?",
    "do you know how to {}?",
    "how does ingle {}?",
    "can ingle {}?",
    "what's the way to {}?",
    "trying to {}",
    "I am trying to {}",
    "where do I {}?",
    "where can I {}?",
    "I don't know how to {}",
    "how do I make ingle {}?",
    "the best way to {}?",
    "what must I do to {}?",
    "what's the command to {}?",
    "command to {}",
    "which command lets me {}?",
    "need to {}, how?",
    "what can I use to {}?",
    "I have to {}",
    "may I {}?",
    "please {}",
    "let me {}",
    "what do I need to {}?",
    "steps to {}",
    "how should I {}?",
    "how can one {}?",
    "how can we {}?",
    "how might I {}?",
    "any way to {}?",
]
VERB_KEPT_OUT = [
    "what would be the simplest way to {}?",
    "suppose I want to {}, what then?",
    "I was wondering how to {}",
    "say I need to {}; what do I run?",
    "my boss asks me to {}",
    "could somebody explain how I {}?",
    "I never managed to {}. What's the trick?",
    "is there something that lets me {}?",
]
# Around a term ("server.port", "the gallery").
TERM = [
    "what is {}?",
    "what is {}?",
    "what's {}?",
    "what does {} do?",
    "what does {} mean?",
    "explain {}",
    "{}",
    "{}?",
    "tell me about {}",
    "what is {} for?",
    "what is {} good for?",
    "how do I use {}?",
    "how does {} work?",
    "what do you know about {}?",
    "meaning of {}",
    "describe {}",
    "I don't understand {}",
    "help with {}",
    "can you explain {}?",
    "what about {}?",
    "why {}?",
    "when do I need {}?",
    "when do I use {}?",
    "where is {}?",
    "which is {}?",
    "info on {}",
    "what happens with {}?",
    "who needs {}?",
    "what's the meaning of {}?",
    "what's the purpose of {}?",
    "define {}",
    "please explain {}",
]
TERM_KEPT_OUT = [
    "I read of {} somewhere, what's that?",
    "give me a short explanation of {}",
    "remind me, what was {} again?",
    "what would I want {} for?",
    "could you say a word about {}?",
]
# Around something that happened ("the port is taken").
TROUBLE = [
    "{}",
    "{}, what now?",
    "{}. What do I do?",
    "what do I do when {}?",
    "what if {}?",
    "help, {}",
    "why is it that {}?",
    "{}, why?",
    "what does it mean that {}?",
    "I have a problem: {}",
    "{}, how do I fix it?",
    "how do I fix this: {}",
    "what can I do if {}?",
    "it fails: {}",
    "error: {}",
    "what helps when {}?",
    "{}, help",
    "{}. Help!",
    "{}, what should I do?",
    "what to do when {}?",
    "what happens if {}?",
]
TROUBLE_KEPT_OUT = [
    "since this morning {}. Any idea?",
    "{} - how do I get out of this?",
    "is there a remedy when {}?",
    "I am stuck because {}",
]
FRAMES = {
    "V": (VERB, VERB_KEPT_OUT), "T": (TERM, TERM_KEPT_OUT), "P": (TROUBLE, TROUBLE_KEPT_OUT), "Q":
    (["{}"], ["{}"])
}

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


def share(text):
    """A number in [0, 1) that only depends on the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


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
