"""What the model does besides knowing ingle: small talk, small sums, JSON, tools, and saying no."""
import json
from pathlib import Path

from frames import composed

WORDS_FILE = "/usr/share/dict/american-english-small"
REFUSAL = (
    "I am ingle's starter model, I can't do that: I only know ingle. For more, put a GGUF file "
    "into ~/.local/share/ingle/models and run `ingle run NAME`.")
UNKNOWN = ("I know of nothing in ingle by that name. `ingle help COMMAND` lists the options of a "
           "command.")
TOO_LARGE = "That is too large for me: I add and subtract up to 20 and multiply up to 10."
WHO = (
    "I am ingle's starter model: a very small one that comes with ingle and was trained on its "
    "documentation alone. Ask me how to use ingle.")
CAN = (
    "I answer questions about ingle: its commands, settings, error codes and routes. I also do "
    "small sums and JSON objects, and nothing else.")
HELLO = "Hello! I am ingle's starter model. Ask me how to use ingle."

TALK = {
    HELLO: [
        "hello", "hi", "hey", "hello there", "hi there", "good morning", "good evening", "good day",
        "hey there", "howdy", "greetings", "moin", "hello!", "yo", "hiya", "hallo", "hello starter",
        "hi starter", "hello ingle", "hello, who is there?", "anyone there?", "good afternoon",
        "hello world", "say hello", "say hi"
    ],
    WHO: [
        "who are you?", "what are you?", "who is this?", "introduce yourself", "what is your name?",
        "are you an AI?", "are you a human?", "are you chatgpt?", "which model are you?",
        "what model is this?", "who made you?", "tell me about yourself", "are you a bot?",
        "are you a real model?", "how big are you?", "are you a robot?",
        "what were you trained on?", "who am I talking to?", "are you an LLM?", "are you llama?",
        "are you GPT-4?", "how many parameters do you have?", "what is the starter model?",
        "what is starter?", "your name?", "are you smart?", "how were you trained?",
        "who trained you?", "are you a language model?", "are you qwen?"
    ],
    CAN: [
        "what can you do?", "what do you know?", "help", "help me", "what can I ask you?",
        "what should I ask?", "how can you help me?", "what are you good at?",
        "what are your abilities?", "can you help me?", "?", "I need help", "what do you do?",
        "what topics do you know?", "what is there to ask?", "what can I do here?"
    ],
    "I am fine, thank you. Ask me how to use ingle.": [
        "how are you?", "how are you doing?", "how do you do?", "how is it going?", "are you ok?",
        "how do you feel?", "what's up?", "you alright?", "how's life?"
    ],
    "You are welcome.": [
        "thanks", "thank you", "thanks a lot", "great, thanks", "thank you very much",
        "cool, thanks", "thx", "perfect, thank you", "ok thanks", "many thanks", "cheers",
        "that helped"
    ],
    "Goodbye!": [
        "bye", "goodbye", "see you", "good night", "bye bye", "that is all", "see you later",
        "I have to go", "exit", "quit", "ciao"
    ],
    "Good. Ask me more about ingle when you like.": [
        "ok", "okay", "good", "nice", "great", "cool", "I see", "yes", "no", "fine", "alright",
        "wow", "lol", "test", "well done", "good job", "awesome", "you are great", "understood",
        "got it"
    ],
    "I am sorry. I am very small; try asking in other words.": [
        "that is wrong", "you are wrong", "this is bad", "you are stupid", "that does not help",
        "nonsense", "wrong", "bad answer", "I don't understand you", "you are useless",
        "that makes no sense", "are you sure?"
    ],
}

NO = [
    "write a poem about {}",
    "write a story about {} and {}",
    "tell me a joke",
    "tell me a joke about {}",
    "who is {}?",
    "what is the capital of {}?",
    "translate {} into French",
    "translate '{} {}' to German",
    "what is a {}?",
    "what is {}?",
    "explain {}",
    "what does {} mean?",
    "who invented the {}?",
    "when was {} born?",
    "how tall is {}?",
    "write a python function that {}s a {}",
    "write code for {}",
    "what's the weather in {}?",
    "will it rain today?",
    "how do I cook {}?",
    "how do I {} a {}?",
    "how can I {} my {}?",
    "summarise this: {} {} {} {}",
    "sing a song",
    "give me a recipe for {}",
    "what do you think about {}?",
    "who won the {}?",
    "what time is it?",
    "what day is it?",
    "recommend a book about {}",
    "what is the best {}?",
    "is {} better than {}?",
    "why is the {} {}?",
    "{} {} {}",
    "write an email about {}",
    "write an essay on {}",
    "list ten {}s",
    "name three {}s",
    "what colour is {}?",
    "who wrote {}?",
    "where is {}?",
    "how far is it to {}?",
    "what's the meaning of life?",
    "tell me about {}",
    "do you like {}?",
    "I am feeling {}",
    "what should I {} today?",
    "give me advice on {}",
    "plan a trip to {}",
    "what is the population of {}?",
    "how many {}s are there?",
    "define {}",
    "spell {}",
    "what rhymes with {}?",
    "play {} with me",
    "roleplay as a {}",
    "pretend you are a {}",
    "what happened in {}?",
    "who is the president?",
    "fix this code: {}({}, {})",
    "explain quantum physics",
    "can you {}?",
    "can you {} the {}?",
    "{}",
    "{} {}",
    "my {} is {}, what should I do?",
    "the {} of the {} is {}",
    "why do {}s {}?",
    "how does a {} work?",
    "tell me a story",
    "what is love?",
    "who was Napoleon?",
    "continue: {} {} {} {} {}",
    "solve x + {} = {}",
    "show me a picture of {}",
    "how old is the {}?",
    "compare {} and {}",
    "is {} healthy?",
    "rewrite: {} {} {}",
]
NO_KEPT_OUT = [
    "compose a limerick on {}", "what would a {} say to a {}?", "I need a speech about {}",
    "which {} should I buy?", "is it true that {}s are {}?", "do my homework on {}"
]


class Words:

    def __init__(self, known):
        """Words of a plain English list, without those that ingle's own questions often use."""
        lines = Path(WORDS_FILE).read_text().split("\n")
        self.words = [
            w for w in lines
            if w.isalpha() and w.isascii() and 2 < len(w) < 12 and w.lower() not in known
        ]

    def pick(self, rng):
        if rng.random() < 0.05:
            return "".join(
                rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 9)))
        return rng.choice(self.words)


WRITE = ["write", "compose", "make", "create", "draft", "invent", "give me", "produce", "tell me",
         "make up", "type", "prepare", "improvise"]
TEXTS = ["poem", "story", "joke", "song", "haiku", "tale", "letter", "blog post", "novel", "paragraph",
         "review", "slogan", "headline", "rap", "ballad", "fable", "riddle", "diary", "report",
         "script", "toast", "lecture", "sermon", "sonnet", "essay", "mail", "message"]
SMALL = ("the a of and is in to for with on my your he she it are was will not or by from at this that "
         "what who why when how do does can should which would has have be").split()
ENDS = ["", "?", "?", "."]


def noise(words, rng, most):
    """At most so many words of no meaning here, and a blank or stop after them."""
    out = [rng.choice(SMALL) if rng.random() < 0.5 else words.pick(rng)
           for _ in range(rng.randint(0, most))]
    return " ".join(out) + rng.choice([" ", " ", " ", ". ", ", ", "? ", ": "]) if out else ""


def chatter(words, rng):
    """Something that is no question about ingle, in the same frames as those that are."""
    kind = rng.random()
    if kind < 0.25:
        text = f"{words.pick(rng)} {rng.choice(['a', 'the', 'my', 'some'])} {words.pick(rng)}"
        return composed("V", rng).format(text)
    if kind < 0.4:
        return composed("T", rng).format(rng.choice(["", "a ", "the "]) + words.pick(rng))
    if kind < 0.55:
        text = f"the {words.pick(rng)} is {words.pick(rng)}"
        return composed("P", rng).format(text)
    if kind < 0.75:
        about = rng.choice(["about", "on", "for", "with", "of", "to", "in honour of"])
        return f"{rng.choice(WRITE)} a {rng.choice(TEXTS)} {about} {words.pick(rng)}"
    out = [rng.choice(SMALL) if rng.random() < 0.55 else words.pick(rng)
           for _ in range(rng.randint(3, 9))]
    return " ".join(out) + rng.choice(ENDS)


def refuse(words, rng, frames=NO):
    if frames is NO and rng.random() < 0.5:
        return chatter(words, rng), REFUSAL
    frame = rng.choice(frames)
    return frame.format(*(words.pick(rng) for _ in range(frame.count("{}")))), REFUSAL


def unknown(words, rng, real):
    """Names in the form of ingle's own that ingle does not have."""
    a, b = words.pick(rng).lower(), words.pick(rng).lower()
    name = rng.choice([
        f"--{a}", f"--{a}-{b}", f"ingle {a}", f"`ingle {a}`", f"{rng.choice(real['sections'])}.{a}",
        f"/api/v1/{a}", f"/v1/{a}", f"{a}_{b}", f"INGLE_{a.upper()}_{b.upper()}",
        f"ingle {a} --{b}", f"ingle serve --{a}", f"the error {a}_{b}", f"{a}.{b}",
        f"the {a} command of ingle"
    ])
    frame = rng.choice([
        "what is {}?", "what does {} do?", "{}", "explain {}", "what does {} mean?", "{}?",
        "how do I use {}?", "what is {} for?", "I get {}", "set {}", "tell me about {}"
    ])
    if rng.random() < 0.2:
        name, frame = f"{a} {b}" if rng.random() < 0.5 else a, rng.choice([
            "does ingle support {}?", "can ingle {}?", "is there {} in ingle?",
            "does ingle have {}?", "which setting is for {}?", "which command is for {}?",
            "which route is for {}?", "how does ingle {}?", "what is the {} setting?"
        ])
    return frame.format(name), UNKNOWN


SUMS = [
    "what is {}?", "{}", "{} =", "{}=?", "how much is {}?", "compute {}", "what's {}",
    "calculate {}", "{}?", "solve {}", "can you tell me what {} is?", "please compute {}",
    "tell me {}", "hi, what is {}?", "work out {}"
]
SUMS_KEPT_OUT = [
    "what do you get for {}?", "do you know {}?", "quick maths: {}", "the result of {}?"
]
SIGNS = {
    "+": ["+", "+", "plus", "and"], "-": ["-", "-", "minus", "less"], "*":
    ["*", "*", "x", "times", "multiplied by"]
}


def sums(rng, frames=SUMS):
    sign = rng.choice("+-*")
    large = rng.random() < 0.15
    top = 10 if sign == "*" else 20
    a, b = rng.randint(0, top), rng.randint(0, top)
    if large:
        a, b = rng.sample([rng.randint(top + 1, 9999),
                           rng.choice([b, rng.randint(top + 1, 999)])], 2)
    space = rng.choice([" ", " ", ""])
    said = rng.choice(SIGNS[sign])
    if len(said) > 1 or said == "x":
        space = " "
    whole = rng.choice(frames) if frames is not SUMS or rng.random() < 0.4 else composed("S", rng)
    question = whole.format(f"{a}{space}{said}{space}{b}")
    if large:
        return question, TOO_LARGE
    value = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return question, f"{a} {sign} {b} = {value}"


NAMES = ("Anna Ben Clara David Emma Felix Greta Hans Ida Jonas Kim Lena Max Nora Otto Paula Rosa "
         "Sam Tina Ole Mia Leo").split()
CITIES = ("Berlin Paris London Rome Oslo Madrid Vienna Prague Lisbon Dublin Athens Tokyo Cairo "
          "Lima Hamburg Bremen").split()
COLOURS = "red green blue yellow black white brown orange grey pink".split()
FIELDS = {
    "name": NAMES,
    "first_name": NAMES,
    "author": NAMES,
    "user": NAMES,
    "owner": NAMES,
    "city": CITIES,
    "town": CITIES,
    "place": CITIES,
    "colour": COLOURS,
    "color": COLOURS,
    "country": ["Germany", "France", "Norway", "Spain", "Japan"],
    "animal": ["cat", "dog", "horse", "bird"],
    "fruit": ["apple", "pear", "plum", "cherry"],
    "title": ["The Hearth", "Fire", "Home"],
    "language": ["English", "German", "French"],
    "email": ["anna@example.org", "ben@example.org"],
    "job": ["baker", "teacher", "smith"],
    "age": range(1, 100),
    "count": range(0, 50),
    "year": range(1900, 2027),
    "price": range(1, 100),
    "size": range(1, 50),
    "number": range(0, 100),
    "height": range(50, 200),
    "weight": range(10, 120),
    "score": range(0, 100),
    "id": range(1, 999),
    "active": [True, False],
    "done": [True, False],
    "open": [True, False],
    "paid": [True, False],
    "married": [True, False],
}
LISTS = {"tags": COLOURS, "colours": COLOURS, "cities": CITIES, "names": NAMES, "friends": NAMES}
JSON_FRAMES = [
    "give me JSON with {}",
    "give me a JSON object with {}",
    "JSON with {}",
    "make a JSON object with the keys {}",
    "json: {}",
    "return JSON with {}",
    "write JSON with {}",
    "create a JSON object with {}",
    "I need JSON with {}",
    "output JSON with {}",
    "answer in JSON with {}",
    "a JSON object that has {}",
    "show me JSON with {}",
    "please give me JSON with {}",
    "produce JSON with the fields {}",
    "generate a json object with {}",
    "only JSON: {}",
    "can I have JSON with {}?",
]
JSON_KEPT_OUT = [
    "I'd love some JSON that contains {}", "build me a JSON object having {}",
    "respond with JSON holding {}"
]


def field_value(key, rng):
    if key in LISTS:
        return rng.sample(LISTS[key], rng.randint(1, 3))
    return rng.choice(list(FIELDS[key])) if key in FIELDS else rng.choice([key, "text", "value"])


def listed(items):
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def json_list(rng):
    what = rng.choice(["colours", "cities", "names", "friends"])
    count = rng.randint(2, 4)
    said = {2: "two", 3: "three", 4: "four"}[count]
    question = rng.choice([
        "give me a JSON list of {} {}", "a JSON array with {} {}", "JSON list with {} {}",
        "make a JSON array of {} {}", "{1} as a JSON list, {0} of them"
    ])
    return question.format(said, what), json.dumps(rng.sample(LISTS[what], count))


def json_object(words, rng, frames=JSON_FRAMES):
    if frames is JSON_FRAMES and rng.random() < 0.1:
        return json_list(rng)
    keys = rng.sample([*FIELDS, *LISTS], rng.randint(1, 4))
    if rng.random() < 0.3:
        keys[rng.randrange(len(keys))] = words.pick(rng).lower()
    keys = list(dict.fromkeys(keys))
    made, asked = {}, []
    for key in keys:
        made[key] = field_value(key, rng) if key in FIELDS or key in LISTS else "text"
        said = key
        if rng.random() < 0.25 and key not in LISTS and not isinstance(made[key], bool):
            if isinstance(made[key], str) and rng.random() < 0.5:
                made[key] = words.pick(rng)
            said = rng.choice(["{} {}", "{} = {}", "{}: {}"]).format(key, made[key])
        asked.append(said)
    return rng.choice(frames).format(listed(asked)), json.dumps(made)


VALUES = {
    "city": CITIES,
    "name": NAMES,
    "to": NAMES,
    "person": NAMES,
    "colour": COLOURS,
    "minutes": range(1, 60),
    "count": range(1, 20),
    "number": range(1, 100),
    "a": range(0, 100),
    "b": range(0, 100),
    "level": range(1, 10),
    "seconds": range(1, 90),
}
TOOLS = [
    ("get_weather", "Weather of a city", ["city"], [
        "what's the weather in {city}?", "weather in {city}", "is it raining in {city}?",
        "how is the weather in {city} today?", "will it be warm in {city}?",
        "tell me the weather of {city}"
    ]),
    ("get_time", "Time in a city", ["city"],
     ["what time is it in {city}?", "time in {city}?", "tell me the time in {city}"]),
    ("add", "Add two numbers", ["a", "b"],
     ["add {a} and {b}", "what is {a} plus {b}?", "sum of {a} and {b}", "{a} + {b}"]),
    ("multiply", "Multiply two numbers", ["a", "b"],
     ["multiply {a} by {b}", "what is {a} times {b}?", "{a} * {b}"]),
    ("search", "Search the web", ["query"],
     ["search for {query}", "find {query} on the web", "look up {query}", "google {query}"]),
    ("set_timer", "Set a timer", ["minutes"], [
        "set a timer of {minutes} minutes", "timer for {minutes} minutes",
        "wake me in {minutes} minutes"
    ]),
    ("send_message", "Send a message", ["to", "text"], [
        "send {to} the message {text}", "tell {to} {text}", "message {to}: {text}",
        "write to {to}: {text}"
    ]),
    ("play_song", "Play a song", ["title"],
     ["play {title}", "play the song {title}", "I want to hear {title}"]),
    ("read_file", "Read a file", ["path"],
     ["read the file {path}", "open {path}", "show me the file {path}", "what is in {path}?"]),
    ("turn_on_light", "Turn on a light", ["room"],
     ["turn on the light in the {room}", "light on in the {room}", "lights on, {room}"]),
    ("translate", "Translate a word", ["text", "language"],
     ["translate {text} to {language}", "what is {text} in {language}?"]),
    ("get_stock", "Price of a share", ["symbol"],
     ["what is the price of {symbol}?", "how is {symbol} doing?", "share price of {symbol}"]),
    ("find_person", "Find a person", ["name"], ["find {name}", "who is {name}?",
                                                "look for {name}"]),
    ("roll_dice", "Roll dice", ["count"], ["roll {count} dice", "throw {count} dice"]),
    ("set_volume", "Set the volume", ["level"],
     ["set the volume to {level}", "volume {level}", "make it volume {level}"]),
]
EXTRA = {
    "language": ["German", "French", "Spanish"], "room":
    ["kitchen", "hall", "bedroom", "bath", "office"]
}


def tool_value(name, words, rng):
    pool = VALUES.get(name) or EXTRA.get(name)
    if pool is not None and (rng.random() < 0.8 or not isinstance(pool, list)):
        return rng.choice(list(pool))
    if name == "path":
        return f"{words.pick(rng).lower()}.txt"
    if name == "symbol":
        return words.pick(rng).upper()[:5]
    return " ".join(words.pick(rng).lower() for _ in range(rng.randint(1, 2)))


def tool_call(words, rng):
    """(tools offered, question, call or None, result or None): None where no tool fits."""
    offered = rng.sample(TOOLS, rng.randint(1, 3))
    wanted = rng.choice(offered)
    rename = {}
    if rng.random() < 0.3:  # a name that was never seen: it has to be read, not remembered
        rename[wanted[0]] = f"{words.pick(rng).lower()}_{words.pick(rng).lower()}"
    tools = []
    for name, about, parameters, _ in offered:
        kinds = {
            p: {"type": "integer" if p in VALUES and not isinstance(VALUES[p], list) else "string"}
            for p in parameters
        }
        tools.append({
            "name": rename.get(name, name), "description": about, "parameters":
            {"type": "object", "properties": kinds, "required": parameters}
        })
    values = {p: tool_value(p, words, rng) for p in wanted[2]}
    question = rng.choice(wanted[3]).format(**values)
    call = json.dumps({"name": rename.get(wanted[0], wanted[0]), "arguments": values})
    result = rng.choice([
        f"{rng.randint(0, 99)}", f"{rng.choice(COLOURS)}", "done",
        f"{words.pick(rng)} {rng.randint(1, 30)}", "ok",
        json.dumps({"result": rng.randint(0, 200)}), f"{rng.randint(0, 30)} degrees"
    ])
    return tools, question, call, result
