"""gguf_python.py FILE N: reads the metadata of a GGUF file N times with python3-gguf and prints
{"rounds": N, "median_ms": M, "min_ms": L}. The counterpart of gguf_bench; only the reader's own
work, without making Python strings of the vocabulary."""

import json
import statistics
import sys
import time

from gguf import GGUFReader

rounds = int(sys.argv[2])
all_ms = []
for _ in range(rounds):
    start = time.perf_counter()
    reader = GGUFReader(sys.argv[1])
    all_ms.append((time.perf_counter() - start) * 1000)
    assert reader.fields and reader.tensors
print(json.dumps({"rounds": rounds, "median_ms": statistics.median(all_ms), "min_ms": min(all_ms)}))
