// The executor for the CPU: products and convolutions by oneDNN, everything else by own kernels,
// several operations to a step, one arena for all activations. It holds no weight twice: packed
// ones live as long as their module, a table of embeddings stays in its file.
//
// The same inputs give the same bits in every run on the same machine, whatever stands beside them
// in the batch, as long as an item has 256 rows or places; smaller ones are computed together, and
// then the library may choose another order of sums for another batch.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/error.h"
#include "tensor/executor.h"

namespace ingle::tensor {

// Which linear layers Precision::int8 makes so. All others stay as Precision::bf16 has them: first
// and last layers, which are narrow; modulations and embeddings of a time, which are one row for
// each item; and convolutions.
struct Int8Rule {
  std::int64_t rows_min = 32, inputs_min = 128, outputs_min = 128;
};

// How the weights of linear layers are held.
enum class WeightsHeld : std::uint8_t {
  packed,  // as products read them
  // Those that their files have in fewer than 16 bits a number are left there, mapped; each run
  // unpacks them, some outputs at a time, into a few MiB. They are multiplied as bf16, whatever the
  // precision.
  stored,
};

struct OnednnOptions {
  // A processor without products of bf16 (before AVX-512) gets f32 instead; one without fast
  // products of int8 does without them.
  Precision precision = Precision::bf16;
  WeightsHeld weights = WeightsHeld::packed;
  std::int64_t stored_elements_min = 64 * 1024;  // smaller weights are packed all the same
  int threads = 0;                               // 0: one for each core
  Int8Rule int8{};
  // Sums up where time goes, by operation; see onednn_profile().
  bool profile = false;
};

// Errors: unsupported (the library does not start), invalid_argument (threads).
base::Result<std::unique_ptr<Executor>> make_onednn_executor(OnednnOptions options);

// Where the time of an executor's runs went, in seconds, by the number of the operation that a step
// began with. All zero unless OnednnOptions::profile was set.
using OnednnProfile = std::array<double, 32>;
// CHECKs that the executor is one of make_onednn_executor's.
OnednnProfile onednn_profile(const Executor& executor);
std::string_view op_name(Op op);

}  // namespace ingle::tensor
