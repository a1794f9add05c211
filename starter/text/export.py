"""Writes the trained model as GGUF (a llama): python3 export.py FOLDER OUT [f32|q8_0].

Query and key rows are put into the order of rotary pairs that llama.cpp's llama has (each number
beside its partner, not half a head away).
"""
import json
import sys
from pathlib import Path

import gguf
import torch

from tokenizer import SPECIAL, Tokenizer

HERE = Path(__file__).parent


def paired(weight, heads):
    rows, columns = weight.shape
    return weight.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def tensors(state, shape):
    yield "token_embd.weight", state["embedding"]
    for i in range(shape["layers"]):
        layer = {
            name.split(".", 2)[2]: w
            for name, w in state.items() if name.startswith(f"layers.{i}.")
        }
        q, k, v = layer["qkv"].chunk(3)
        gate, up = layer["gate_up"].chunk(2)
        yield f"blk.{i}.attn_norm.weight", layer["attention_norm"]
        yield f"blk.{i}.attn_q.weight", paired(q, shape["heads"])
        yield f"blk.{i}.attn_k.weight", paired(k, shape["heads"])
        yield f"blk.{i}.attn_v.weight", v
        yield f"blk.{i}.attn_output.weight", layer["out"]
        yield f"blk.{i}.ffn_norm.weight", layer["hidden_norm"]
        yield f"blk.{i}.ffn_gate.weight", gate
        yield f"blk.{i}.ffn_up.weight", up
        yield f"blk.{i}.ffn_down.weight", layer["down"]
    yield "output_norm.weight", state["norm"]


def main():
    folder, out = Path(sys.argv[1]), sys.argv[2]
    kind = sys.argv[3] if len(sys.argv) > 3 else "q8_0"
    held = torch.load(folder / "checkpoint.pt", weights_only=True, map_location="cpu")
    shape, tokenizer = held["shape"], Tokenizer.load(folder / "tokenizer.json")
    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name("ingle starter")
    writer.add_description(
        "Answers questions about ingle, and nothing else. Trained by ./dev train text.")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0 if kind ==
                         "q8_0" else gguf.LlamaFileType.ALL_F32)
    writer.add_string("ingle.starter.corpus", held["corpus"])
    writer.add_uint32("ingle.starter.steps", held["step"])
    writer.add_vocab_size(shape["vocab"])
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["hidden"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["heads"])
    writer.add_rope_dimension_count(shape["width"] // shape["heads"])
    writer.add_rope_freq_base(shape["rope_base"])
    writer.add_layer_norm_rms_eps(shape["norm_eps"])
    # So small a model says what it knows only when it takes its best guess each time.
    writer.add_float32("general.sampling.temp", 0.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types([
        gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL
        for token in tokenizer.tokens
    ])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer.merges])
    writer.add_bos_token_id(tokenizer.end)
    writer.add_eos_token_id(tokenizer.im_end)
    writer.add_pad_token_id(tokenizer.end)
    writer.add_add_bos_token(False)
    writer.add_chat_template((HERE / "chat.jinja").read_text())
    for name, weight in tensors(held["model"], shape):
        data = weight.float().contiguous().numpy()
        if kind == "q8_0" and data.ndim == 2:
            packed = gguf.quantize(data, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(json.dumps({"file": out, "bytes": Path(out).stat().st_size, "step": held["step"]}))


if __name__ == "__main__":
    main()
