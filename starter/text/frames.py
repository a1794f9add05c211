"""Frames: what people write around the thing they ask for. Half are put together from parts, so that
the model learns to look at the thing and past everything else.

Kinds: V takes a verb phrase ("list the models"), T a term ("server.port"), P something that happened
("the port is taken"), S a sum ("2 + 3"), Q a whole question. KEPT_OUT are the frames that training never sees, and the
questions of the bench do; words that give them away stand in no part either.
"""

FIXED = {
    "V": [
        "how do I {}?", "how can I {}?", "how to {}?", "how to {}", "{}", "{}?",
        "what is the command to {}?", "which command do I use to {}?", "I want to {}",
        "is it possible to {}?", "is there a way to {}?", "show me how to {}", "help me {}",
        "what do I type to {}?", "how do you {}?", "how does ingle {}?", "can ingle {}?", "can I {}?",
        "could I {}?", "may I {}?", "trying to {}", "where do I {}?", "where can I {}?",
        "how do I make ingle {}?", "the best way to {}?", "command to {}", "need to {}, how?",
        "please {}", "let me {}", "steps to {}", "any way to {}?", "what do I do to {}?",
    ],
    "T": [
        "what is {}?", "what is {}?", "what's {}?", "what does {} do?", "what does {} mean?",
        "explain {}", "{}", "{}?", "tell me about {}", "what is {} for?", "what is {} good for?",
        "how do I use {}?", "how does {} work?", "what do you know about {}?", "meaning of {}",
        "describe {}", "I don't understand {}", "help with {}", "can you explain {}?",
        "what about {}?", "why {}?", "when do I need {}?", "where is {}?", "which is {}?",
        "info on {}", "who needs {}?", "what's the purpose of {}?", "define {}",
    ],
    "P": [
        "{}", "{}, what now?", "{}. What do I do?", "what do I do when {}?", "what if {}?",
        "help, {}", "why is it that {}?", "{}, why?", "what does it mean that {}?",
        "I have a problem: {}", "{}, how do I fix it?", "how do I fix this: {}", "it fails: {}",
        "error: {}", "what helps when {}?", "{}, help", "{}. Help!", "what to do when {}?",
        "what happens if {}?",
    ],
    "Q": ["{}"],
}
KEPT_OUT = {
    "V": [
        "what would be the simplest way to {}?", "suppose I want to {}, what then?",
        "I was wondering how to {}", "say I need to {}; what do I run?", "my boss asks me to {}",
        "could somebody explain how I {}?", "I never managed to {}. What's the trick?",
        "is there something that lets me {}?", "my grandmother insists that we {}, what is her next step?",
        "is anyone aware of how folks {}?", "the task at hand: {}. Begin where?",
        "between us, how does a lazy person {}?", "in which manner would an expert {}?",
        "kindly advise me: to {}, what is required?", "at the end of the day I just want to {}",
    ],
    "T": [
        "I read of {} somewhere, what's that?", "give me a short explanation of {}",
        "remind me, what was {} again?", "what would I want {} for?",
        "could you say a word about {}?", "my neighbour keeps raving about {}. Is it useful?",
        "{} for dummies", "in plain English, {}?", "what on earth is {}?", "any thoughts on {}?",
    ],
    "P": [
        "since this morning {}. Any idea?", "{} - how do I get out of this?",
        "is there a remedy when {}?", "I am stuck because {}", "out of the blue {}. What gives?",
        "it drives me mad: {}", "{} and I have no idea what went wrong", "whenever I try, {}. Advice?",
    ],
    "Q": ["{}"],
}
TELLTALES = ("simplest", "suppose", "wonder", "my boss", "somebody", "never managed", "trick",
             "something that lets", "i read of", "short explanation", "remind", "a word about",
             "this morning", "get out of", "remedy", "stuck", "what do i run", "quick maths",
             "the result of", "do you get", "grandmother", "folks", "task at hand", "lazy", "manner",
             "kindly advise", "end of the day", "raving", "dummies", "plain english", "on earth",
             "any thoughts", "the blue", "drives me", "went wrong", "whenever i")

PARTS = {
    "who": ["I", "I", "I", "you", "we", "one", "people", "a user", "a beginner", "my program",
            "my friend", "anybody"],
    "aux": ["do", "can", "could", "should", "would", "might", "must", "may"],
    "they": ["my friend", "my colleague", "our team", "a user", "my sister", "my teacher", "she", "he",
             "a customer", "my brother", "the admin", "our students", "a script of mine", "my father"],
    "wish": ["want to", "would like to", "wish to", "need to", "have to", "plan to", "try to",
             "hope to", "like to", "intend to", "mean to", "ought to", "tried to", "wanted to",
             "must"],
    "wishes": ["wants to", "would like to", "needs to", "has to", "tries to", "plans to",
               "asked me how to", "told me to", "wanted to", "wishes to", "hopes to"],
    "do": ["find out how to", "learn how to", "understand how to", "remember how to", "see how to",
           "figure out how to", "know how to", "be shown how to", "hear how to", "be able to"],
    "tell": ["show me", "tell me", "explain", "describe", "teach me", "say", "let me know",
             "demonstrate", "write down", "point out", "explain to me", "give me a hint",
             "walk me through", "outline", "explain in one line", "explain step by step"],
    "polite": ["", "", "", "please ", "can you ", "could you ", "would you ", "will you ",
               "would you please ", "can you please ", "kindly ", "I want you to ",
               "do you want to ", "are you able to "],
    "thing": ["command", "option", "setting", "tool", "subcommand", "thing", "part of ingle", "call",
              "line", "feature", "function", "one", "menu", "page"],
    "lets": ["lets me", "helps me", "allows me to", "is used to", "do I use to", "do I need to",
             "is there to", "would let me", "will", "should I use to", "can", "makes it possible to",
             "enables me to", "would you use to", "is meant to", "serves to"],
    "way": ["a way", "an easy way", "a quick way", "some way", "a command", "an option", "a method",
            "a possibility", "a simple way", "a good way", "a setting", "a shortcut", "any chance",
            "a proper way", "a fast way", "a means", "a tool"],
    "lost": ["I forgot how to", "I don't know how to", "I can't find how to", "no idea how to",
             "not sure how to", "I can't remember how to", "I have no clue how to",
             "I do not see how to", "unsure how to", "it is unclear how to", "I would ask how to",
             "the docs don't tell me how to", "I am not able to", "I can't", "I could not",
             "I did not find a way to", "I am unable to", "it won't let me", "I fail to",
             "nobody told me how to", "the question is how to", "curious how to",
             "my question: how to", "I am looking for a way to", "searching for how to",
             "looking how to", "interested in how to", "hints on how to", "advice on how to",
             "a guide on how to", "instructions to", "tutorial: how to", "docs on how to"],
    "how": [", how?", ". How?", ", what do I type?", "; which command?", ", what's the way?",
            ", which command is it?", ". What is the command?", ". Any hints?", ", is that possible?",
            ", can you help?", ". What now?", ". Which command?", ", how does that go?",
            ", how is it done?", ". How does it work?", ", but how?", " - how?", " - what do I enter?",
            ". What must I do?", ", what should I do?", ". Where do I begin?", ", what is needed?",
            ", please help", ". Can ingle do it?", ", does ingle do that?", "", "", "", ". Thanks",
            ". Can it be done?", ". What do I have to write?", ". What would you do?", ", any tips?"],
    "saw": ["I saw {} in the docs", "someone mentioned {}", "my config has {}", "there is {} here",
            "in a file I found {}", "a friend told me of {}", "a script uses {}", "I found {}",
            "I came across {}", "the help lists {}", "I was told to use {}", "I see {} in the output",
            "I heard about {}", "I noticed {}", "the manual names {}", "people talk about {}",
            "I looked at {}", "we have {} in our setup", "the log says {}", "my colleague uses {}",
            "there's {} in this line", "I stumbled over {}", "I should use {}", "I want to use {}",
            "I don't get {}", "I don't know {}", "I have never used {}", "never heard of {}"],
    "meant": [". What is it?", ", what does it do?", "; what's that for?", ". Meaning?",
              ". What does it mean?", ", what is this?", ". What is that for?", ". Explain it.",
              ", please explain", ". Do I need it?", ". What does that do?", ", why?",
              ". Tell me more", ". What's the use?", " - what is it?", " and I don't know what it is",
              ", but what does it do?", ". What's it good for?", ""],
    "about": ["what do I use {} for", "when would I use {}", "why would I use {}",
              "what exactly does {} do", "what exactly is {}", "what kind of thing is {}",
              "what happens when I use {}", "do you know {}", "do you know what {} is",
              "what can I do with {}", "what is the use of {}", "what is meant by {}",
              "could you tell me what {} does", "tell me what {} is", "I'd like to know what {} does",
              "I need to know what {} is", "please describe {}", "give me details on {}",
              "in one sentence: {}", "summary of {}", "what should I know about {}", "the point of {}",
              "details about {}", "documentation of {}", "docs for {}", "an overview of {}",
              "how would you describe {}", "is {} important", "do I need {}", "usage of {}",
              "what's the deal with {}", "what's up with {}", "how is {} used", "the role of {}",
              "introduce {} to me", "more on {}", "what do you say about {}", "look up {}"],
    "when": ["today", "suddenly", "all of a sudden", "after an update", "on my laptop",
             "for some reason", "it looks like", "it seems that", "I think", "apparently",
             "my friend says", "I keep seeing that", "again", "sometimes", "every time",
             "now", "after the restart", "since the update", "at work", "on our server", "it says that",
             "I believe", "sadly", "hm,", "strange:", "oh no,", "damn,", "ingle tells me that",
             "the program tells me that", "as of today", "once more", "I notice that", "sorry but",
             "my problem is that", "the trouble is that", "I am told that", "we see that"],
    "so": [". What do I do?", ", what now?", ". How come?", ". How do I solve it?", ". What is wrong?",
           ". Can I do something about it?", ". How do I repair that?", ". What did I do wrong?",
           ". Can you help me?", ", what does it mean?", ". Please help", ". What should I try?",
           ", any hints?", ". Is that bad?", " and I don't know why", ". What's the matter?",
           ", what is the fix?", ". What can be done?", ", how do I go on?", ". Why?", "", "", "",
           ". What helps?", " and nothing works", ". How can I solve this?", ". What's going on?",
           ", what must I change?", " :(", ". Solution?", ". Explain please"],
    "sum": ["compute", "calculate", "work out", "solve", "evaluate", "find", "tell me", "give me",
            "determine", "figure out", "say what is", "do the sum", "add up", "reckon", "answer:"],
    "worth": ["what is", "how much is", "what's", "what does this give:", "what makes",
              "what comes out of", "how many is", "the value of", "the answer to", "what would be",
              "what number is", "what's the total of", "what does one have with", "and what is",
              "now what is", "maths:", "sum:", "my homework says", "a sum for you:", "I need"],
    "equals": [" equals?", " is?", " makes?", " = ?", " gives what?", " is how much?", " please",
               ", what is that?", " equals what?", " =", "=", "?", "", " is what number?"],
    "place": ["I have a laptop", "I have a small desktop", "I have an old PC", "my machine has 16 GB",
              "I have 8 GB of RAM", "I use Linux", "I am new here", "I am a beginner",
              "I am on Debian", "it is late", "I just started", "I have little time",
              "my English is bad", "I am at work", "I am no expert", "we are two people",
              "I wrote a small program", "I read the README", "this is my first day", "I am tired",
              "thanks for your help so far", "next question", "another question", "one more thing",
              "I have a game", "my computer is slow", "I have an NVIDIA card", "I have no GPU",
              "first of all", "I like your program", "sorry for asking", "maybe a stupid question",
              "I am a student", "I write games", "this is for a script"],
}
COMPOSED = {
    "V": [
        "how {aux} {who} {}?", "how {aux} {who} {}?", "{polite}{tell} how to {}",
        "{polite}{tell} how {who} {aux} {}", "I {wish} {}{how}", "I {wish} {do} {}{how}",
        "{they} {wishes} {}{how}", "which {thing} {lets} {}?", "what {thing} {lets} {}?",
        "is there {way} to {}?", "is there {way} for {they} to {}?", "do you have {way} to {}?",
        "I am looking for {way} to {}", "{lost} {}{how}", "{lost} {}{how}",
        "what {aux} {who} do to {}?", "what {aux} {who} type if {who} {wish} {}?", "to {}{how}",
        "{aux} {who} {}?", "when {who} {wish} {}, what {aux} {who} do?",
        "if {who} {wish} {}, which {thing} is it?", "the {thing} to {}{how}",
        "{place}. How {aux} {who} {}?", "{place} and I {wish} {}{how}", "{place}, {lost} {}{how}",
        "{place}: {}{how}", "where {aux} {who} {}?", "why can't I {}?", "{}{how}",
    ],
    "T": [
        "{saw}{meant}", "{saw}{meant}", "{about}?", "{about}", "{about}{meant}", "{place}. {about}?",
        "{place}. {saw}{meant}", "{polite}{tell} what {} is", "{polite}{tell} what {} does", "{}{meant}",
        "what {aux} {who} do with {}?", "{lost} use {}{how}", "how {aux} {who} use {}?",
    ],
    "S": ["{polite}{sum} {}", "{polite}{sum} {}{equals}", "{worth} {}?", "{worth} {}",
          "{place}. {worth} {}?", "{}{equals}", "{polite}{tell} what {} is", "{they} asks what {} is",
          "{they} {wishes} know what {} is", "I {wish} know what {} is", "how {aux} {who} {sum} {}?"],
    "P": [
        "{when} {}{so}", "{when} {}{so}", "{}{so}", "{place}, {}{so}", "{place}. {when} {}{so}",
        "{they} has a problem: {}{so}", "what {aux} {who} do when {}?", "what {aux} {who} do if {}?",
        "{polite}{tell} what to do when {}", "{polite}{tell} why {}", "{lost} go on: {}{so}",
        "is there {way} out when {}?", "{they} says that {}{so}",
    ],
}


def composed(kind, rng):
    """A frame put together: it holds {} once; nothing of the frames that are kept out."""
    while True:
        text = rng.choice(COMPOSED[kind])
        while True:
            open_at = next((at for at in range(len(text)) if text[at] == "{" and text[at + 1] != "}"),
                           None)
            if open_at is None:
                break
            end = text.index("}", open_at)
            text = text[:open_at] + rng.choice(PARTS[text[open_at + 1:end]]) + text[end + 1:]
        if not any(word in text.lower() for word in TELLTALES):
            return text


def frame(kind, rng):
    if kind in COMPOSED and rng.random() < 0.55:
        return composed(kind, rng)
    return rng.choice(FIXED[kind])
