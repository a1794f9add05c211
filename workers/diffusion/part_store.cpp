#include "diffusion/part_store.h"

#include <malloc.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"

namespace ingle::diffusion {

using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint64_t kGiveBackBytes = 256 << 20;

// Weights whose reading ends when the watch says so.
class StoppableWeights final : public tensor::WeightSource {
 public:
  StoppableWeights(const PartStore& store, const tensor::WeightSource& source)
      : store_(store), source_(source) {}
  std::optional<tensor::WeightInfo> find(std::string_view name) const override {
    return source_.find(name);
  }
  base::Status read(std::string_view name, std::int64_t begin, std::int64_t end,
                    std::span<float> out) const override {
    if (stopped()) return fail(ErrorCode::cancelled, "the load was stopped");
    return source_.read(name, begin, end, out);
  }
  // Nothing once it is stopped: then it is read, and that fails.
  std::optional<std::span<const std::byte>> stored(std::string_view name) const override {
    if (stopped()) return std::nullopt;
    return source_.stored(name);
  }

 private:
  bool stopped() const {
    const auto* stop = store_.watch_.stop;
    return stop != nullptr && stop->load(std::memory_order_relaxed);
  }

  const PartStore& store_;
  const tensor::WeightSource& source_;
};

class PartProgram;

class PartModule final : public tensor::Module {
 public:
  PartModule(PartStore& store, std::string role, const tensor::WeightSource& source)
      : store_(store), role_(std::move(role)), stage_(stage_of(role_)), source_(store, source) {
    store_.modules_.push_back(this);
  }
  ~PartModule() override {
    CHECK(programs_.empty(), "a module outlives its programs");
    std::erase(store_.modules_, this);
  }

  Result<std::unique_ptr<tensor::Program>> compile(const tensor::Graph& graph,
                                                   std::span<const std::string> outputs,
                                                   const tensor::PackProgress& progress) override;
  tensor::MemoryUse memory() const override { return inner_ ? inner_->memory() : none(); }

  // The real program. What it needs is packed.
  Result<std::unique_ptr<tensor::Program>> make(const tensor::Graph& graph,
                                                std::span<const std::string> outputs,
                                                const tensor::PackProgress& progress);
  // Everything that was packed goes, and the programs with it.
  void release();

  PartStore& store() { return store_; }
  const std::string& role() const { return role_; }
  PartStage stage() const { return stage_; }

  bool is_used() const;  // by a program that is there

 private:
  friend class PartProgram;
  static tensor::MemoryUse none() { return {}; }

  PartStore& store_;
  const std::string role_;
  const PartStage stage_;
  const StoppableWeights source_;
  std::unique_ptr<tensor::Module> inner_{};
  std::vector<PartProgram*> programs_{};
};

// A program that is made when it runs and there is none.
class PartProgram final : public tensor::Program {
 public:
  PartProgram(PartModule& module, const tensor::Graph& graph, std::span<const std::string> outputs)
      : module_(module), outputs_(outputs.begin(), outputs.end()) {
    if (module_.store().residency() == Residency::staged) graph_.emplace(graph);
    module_.programs_.push_back(this);
  }
  ~PartProgram() override { std::erase(module_.programs_, this); }

  base::Status run(std::span<const tensor::Feed> feeds, std::span<const tensor::Fetch> fetches,
                   const std::atomic<bool>& stop) override {
    if (inner_ == nullptr) {
      if (stop.load(std::memory_order_relaxed)) return fail(ErrorCode::cancelled, "cancelled");
      CHECK(graph_, "who stays keeps his program");
      TRY_ASSIGN(inner_, module_.make(*graph_, outputs_, {}));
    }
    auto done = inner_->run(feeds, fetches, stop);
    module_.store().note_peak();
    return done;
  }
  tensor::MemoryUse memory() const override {
    return inner_ ? inner_->memory() : tensor::MemoryUse{};
  }

 private:
  friend class PartModule;

  PartModule& module_;
  std::optional<tensor::Graph> graph_{};  // staged: to be made again
  const std::vector<std::string> outputs_;
  std::unique_ptr<tensor::Program> inner_{};
};

bool PartModule::is_used() const {
  return std::ranges::any_of(programs_, [](const auto* p) { return p->inner_ != nullptr; });
}

Result<std::unique_ptr<tensor::Program>> PartModule::compile(const tensor::Graph& graph,
                                                             std::span<const std::string> outputs,
                                                             const tensor::PackProgress& progress) {
  if (!graph.status()) return fail(graph.status().error());
  auto out = std::make_unique<PartProgram>(*this, graph, outputs);
  if (store_.residency_ == Residency::resident) {
    TRY_ASSIGN(out->inner_, make(graph, outputs, progress));
  }
  return out;
}

Result<std::unique_ptr<tensor::Program>> PartModule::make(const tensor::Graph& graph,
                                                          std::span<const std::string> outputs,
                                                          const tensor::PackProgress& progress) {
  store_.make_room(stage_);
  auto& executor = *store_.device(stage_).executor;
  if (inner_ == nullptr) {
    TRY_ASSIGN(inner_, executor.open(source_));
  }
  const auto before = inner_->memory().weights_bytes;
  // What is packed is not read again soon: its pages go while the rest is packed, so that a model
  // never lies in memory twice.
  std::uint64_t given_back = 0;
  const auto told = [&](std::uint64_t done, std::uint64_t total) {
    if (store_.packed_ && done >= given_back + kGiveBackBytes) {
      given_back = done;
      store_.packed_();
    }
    if (progress)
      progress(done, total);
    else if (store_.watch_.loading)
      store_.watch_.loading(role_, done, total);
  };
  auto made = inner_->compile(graph, outputs, told);
  store_.note_peak();
  if (made) {
    if (store_.packed_ && inner_->memory().weights_bytes != before) store_.packed_();
    return made;
  }
  // What is half packed is of no use to a machine that has no room for the rest; after a stop it
  // is half of the next load.
  if (made.error().code != ErrorCode::cancelled && !is_used()) release();
  return fail(std::move(made).error().with_context("loading " + role_));
}

void PartModule::release() {
  for (auto* program : programs_) program->inner_.reset();
  inner_.reset();
}

// The executor of a role.
class PartExecutor final : public tensor::Executor {
 public:
  PartExecutor(PartStore& store, std::string role) : store_(store), role_(std::move(role)) {}
  Result<std::unique_ptr<tensor::Module>> open(const tensor::WeightSource& source) override {
    return std::make_unique<PartModule>(store_, role_, source);
  }
  std::string name() const override { return real().name(); }
  tensor::MemoryUse memory() const override { return real().memory(); }
  void trim() override { real().trim(); }
  const std::string& role() const { return role_; }

 private:
  tensor::Executor& real() const { return *store_.device(stage_of(role_)).executor; }

  PartStore& store_;
  const std::string role_;
};

PartStage stage_of(std::string_view role) {
  if (role.starts_with("text_encoder")) return PartStage::text;
  return role == "vae" ? PartStage::vae : PartStage::denoiser;
}

PartStore::PartStore(PartDevices devices, Residency residency)
    : devices_(std::move(devices)), residency_(residency) {}

PartStore::~PartStore() { CHECK(modules_.empty(), "a store outlives what is opened on it"); }

const PartDevices::Device& PartStore::device(PartStage stage) const {
  switch (stage) {
    case PartStage::text:
      return devices_.text;
    case PartStage::denoiser:
      return devices_.denoiser;
    case PartStage::vae:
      break;
  }
  return devices_.vae;
}

tensor::Executor& PartStore::executor(std::string_view role) {
  for (const auto& known : executors_)
    if (static_cast<PartExecutor&>(*known).role() == role) return *known;
  return *executors_.emplace_back(std::make_unique<PartExecutor>(*this, std::string(role)));
}

void PartStore::watch(Watch watch) {
  watch_ = std::move(watch);
  peak_bytes_ = 0;
  note_peak();
}

bool PartStore::take_turns(PartStage a, PartStage b) const {
  return residency_ == Residency::staged && a != b && device(a).memory == device(b).memory;
}

void PartStore::make_room(PartStage stage) {
  bool went = false;
  for (auto* module : modules_) {
    if (!take_turns(stage, module->stage())) continue;
    if (module->memory().weights_bytes == 0 && !module->is_used()) continue;
    module->release();
    device(module->stage()).executor->trim();
    went = true;
  }
  // Small pieces that the C library keeps for later are the system's again.
  if (went) ::malloc_trim(0);
}

PipelineMemory PartStore::memory() const {
  std::map<std::string, std::uint64_t> weights;
  for (const auto* module : modules_) weights[module->role()] += module->memory().weights_bytes;
  PipelineMemory out;
  for (const auto& [role, bytes] : weights) out.parts.push_back({role, bytes});
  std::vector<const tensor::Executor*> counted;
  for (const auto* device : {&devices_.text, &devices_.denoiser, &devices_.vae}) {
    if (std::ranges::contains(counted, device->executor)) continue;
    counted.push_back(device->executor);
    const auto use = device->executor->memory();
    out.activations_bytes += use.activations_bytes;
    out.scratch_bytes += use.scratch_bytes;
  }
  out.caches_bytes = caches_bytes_;
  out.peak_bytes = peak_bytes_;
  return out;
}

void PartStore::note_peak() { peak_bytes_ = std::max(peak_bytes_, memory().total_bytes()); }

}  // namespace ingle::diffusion
