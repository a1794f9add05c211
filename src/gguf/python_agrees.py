"""Goal: our reader sees in a GGUF file what python3-gguf sees: every key, element, tensor and type
size. Method: sample models of several kinds, listed by gguf_listing and by GGUFReader, compared
line by line. Arguments: gguf_listing, ingle-make-gguf."""

import subprocess
import sys
import tempfile
from pathlib import Path

import gguf

LISTING, MAKE = sys.argv[1:3]
NAMES = {
    "UINT8": "u8", "INT8": "i8", "UINT16": "u16", "INT16": "i16", "UINT32": "u32", "INT32": "i32",
    "FLOAT32": "f32", "BOOL": "bool", "STRING": "string", "UINT64": "u64", "INT64": "i64",
    "FLOAT64": "f64",
}
MODELS = [
    ["tiny"], ["tiny-qwen2", "--type", "f16"], ["tiny", "--type", "q8_0", "--seed", "7"],
    ["embedding"], ["reranker"], ["tiny", "--vocab", "3000", "--layers", "3"],
]


def escaped(raw):
    return "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in raw)


def scalar_text(value, kind):
    if kind in ("f32", "f64"):
        return f"{float(value):.9g}"
    return str(int(value))


def fnv(texts):
    total = 0xCBF29CE484222325
    for text in texts:
        for byte in text + b"\n":
            total = ((total ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return total


def listing_of(path):
    reader = gguf.GGUFReader(path)
    yield f"version {int(reader.fields['GGUF.version'].parts[0][0])}"
    for key, field in reader.fields.items():
        if key.startswith("GGUF."):
            continue
        kind = NAMES.get(field.types[-1].name)
        parts = [field.parts[i] for i in field.data]
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            texts = [bytes(p) if kind == "string" else scalar_text(p[0], kind).encode()
                     for p in parts]
            yield f"array {key} {kind} {len(texts)} {fnv(texts):x}"
        elif kind == "string":
            yield f"meta {key} {kind} {escaped(bytes(parts[0]))}".rstrip("\n")
        else:
            yield f"meta {key} {kind} {scalar_text(parts[0][0], kind)}"
    for tensor in reader.tensors:
        dimensions = "x".join(str(int(d)) for d in tensor.shape)
        yield (f"tensor {tensor.name} {tensor.tensor_type.name} {dimensions} "
               f"{tensor.data_offset} {tensor.n_bytes}")


def types():
    for kind in sorted(gguf.GGMLQuantizationType, key=int):
        block, size = gguf.GGML_QUANT_SIZES[kind]
        yield f"type {int(kind)} {kind.name} {block} {size}"


def compare(what, ours, theirs):
    for number, (a, b) in enumerate(zip(ours + ["(end)"], theirs + ["(end)"])):
        if a != b:
            sys.exit(f"{what}: line {number + 1} differs\n  ingle:  {a[:300]}\n  python: {b[:300]}")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


compare("types", run(LISTING).splitlines(), list(types()))
with tempfile.TemporaryDirectory() as folder:
    for model in MODELS:
        path = str(Path(folder) / "model.gguf")
        run(MAKE, *model, "--out", path)
        ours = run(LISTING, path).splitlines()
        assert len(ours) > 30, "the listing is not empty"
        compare(" ".join(model), ours, list(listing_of(path)))
print(f"{len(MODELS)} models and every tensor type agree")
