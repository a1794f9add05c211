// PartStore: which parts of a model are in memory, and where each runs. Parts are opened on the
// executors that it hands out, which are those of the devices with one more thing about them: what
// they have packed comes and goes. Nothing above it knows.
//
//   resident  a part is packed when its first program is made, and stays
//   staged    a part is packed when it first runs; before that, parts of other stages that lie in
//             the same memory go, with all their programs, which are made again when they next run
//
// What goes is really given back: packed weights, programs, and the executor's memory for
// activations. Loads are told of and can be stopped, see watch(). One thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/executor.h"

namespace ingle::diffusion {

enum class Residency : std::uint8_t { resident, staged };

// Parts that are used together: text encoders, the transformer or UNet, the VAE.
enum class PartStage : std::uint8_t { text, denoiser, vae };
PartStage stage_of(std::string_view role);

// Where each stage runs. Executors outlive what they are given to. Stages of equal `memory` share
// it: the processor's executors have "host", a card its own name.
struct PartDevices {
  struct Device {
    tensor::Executor* executor = nullptr;
    std::string memory{};
  };
  Device text{}, denoiser{}, vae{};

  PartDevices(Device of_text, Device of_denoiser, Device of_vae)
      : text(std::move(of_text)), denoiser(std::move(of_denoiser)), vae(std::move(of_vae)) {}
  // All of them on one.
  PartDevices(tensor::Executor& executor)
      : PartDevices({&executor, "host"}, {&executor, "host"}, {&executor, "host"}) {}
};

// What a pipeline holds at the moment, in bytes.
struct PipelineMemory {
  struct Part {
    std::string role{};
    std::uint64_t weights_bytes = 0;  // packed; 0: not in memory
    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts{};            // in order of roles
  std::uint64_t activations_bytes = 0;  // of all executors
  std::uint64_t scratch_bytes = 0;      // their libraries' own, during runs
  std::uint64_t caches_bytes = 0;       // encoded prompts, the map of previews
  std::uint64_t peak_bytes = 0;         // the most of all of these together, since watch()

  std::uint64_t weights_bytes() const {
    std::uint64_t out = 0;
    for (const auto& part : parts) out += part.weights_bytes;
    return out;
  }
  std::uint64_t total_bytes() const {
    return weights_bytes() + activations_bytes + scratch_bytes + caches_bytes;
  }
};

class PartStore {
 public:
  PartStore(PartDevices devices, Residency residency);
  ~PartStore();
  PartStore(const PartStore&) = delete;
  PartStore& operator=(const PartStore&) = delete;

  Residency residency() const { return residency_; }
  // Where the part of this role runs. Outlives what is opened on it; the store outlives both.
  tensor::Executor& executor(std::string_view role);

  // Whether only one of them is in memory at a time.
  bool take_turns(PartStage a, PartStage b) const;

  struct Watch {
    // Looked at between any two tensors that are packed; nothing: no stop.
    const std::atomic<bool>* stop = nullptr;
    // A part is being packed, unless who makes the program has a progress of his own.
    std::function<void(std::string_view role, std::uint64_t done, std::uint64_t total)> loading{};
  };
  // Until the next one, or rest(). Forgets the peak.
  void watch(Watch watch);
  void rest() { watch_ = {}; }
  // Called when something was packed: its file is not needed for a while.
  void on_packed(std::function<void()> packed) { packed_ = std::move(packed); }

  PipelineMemory memory() const;
  // What is kept beside the parts, for the report.
  void set_caches(std::uint64_t bytes) { caches_bytes_ = bytes; }

 private:
  friend class PartExecutor;
  friend class PartModule;
  friend class PartProgram;
  friend class StoppableWeights;

  const PartDevices::Device& device(PartStage stage) const;
  // Parts of other stages in the same memory go, when parts come and go.
  void make_room(PartStage stage);
  void note_peak();

  const PartDevices devices_;
  const Residency residency_;
  std::list<std::unique_ptr<tensor::Executor>> executors_{};  // one a role
  std::vector<class PartModule*> modules_{};                  // that there are
  Watch watch_{};
  std::function<void()> packed_{};
  std::uint64_t caches_bytes_ = 0, peak_bytes_ = 0;
};

}  // namespace ingle::diffusion
