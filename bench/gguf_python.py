"""gguf_python.py FILE N: reads the metadata of a GGUF file N times with python3-gguf and prints the
milliseconds of each time, one a line. The counterpart of gguf_bench; the reader's own work only,
without making Python strings of the vocabulary."""

import sys
import time

from gguf import GGUFReader

for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    reader = GGUFReader(sys.argv[1])
    assert reader.fields and reader.tensors
    print(f"{(time.perf_counter() - start) * 1000:.3f}", flush=True)
