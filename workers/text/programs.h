// Programs: the last few programs of one model, by their sizes, so that the next text of the same
// sizes runs at once. Confined to one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tensor/executor.h"

namespace ingle::text {

template <class Key>
class Programs {
 public:
  static constexpr std::size_t kProgramsMax = 3;

  // The program for `key`, made by make() -> Result<unique_ptr<Program>> when it is not there; the
  // one that was not used for longest goes. Valid until the next call.
  template <class Make>
  base::Result<tensor::Program*> get(const Key& key, Make&& make) {
    const auto found = std::ranges::find(entries_, key, &Entry::key);
    if (found != entries_.end()) {
      std::ranges::rotate(found, found + 1, entries_.end());
      return entries_.back().program.get();
    }
    if (entries_.size() == kProgramsMax) entries_.erase(entries_.begin());
    TRY_ASSIGN(auto program, make());
    entries_.push_back({.key = key, .program = std::move(program)});
    return entries_.back().program.get();
  }

  // Of all programs that are kept.
  tensor::MemoryUse memory() const {
    tensor::MemoryUse out;
    for (const auto& entry : entries_) {
      const auto use = entry.program->memory();
      out.activations_bytes += use.activations_bytes;
      out.scratch_bytes = std::max(out.scratch_bytes, use.scratch_bytes);
    }
    return out;
  }

 private:
  struct Entry {
    Key key{};
    std::unique_ptr<tensor::Program> program{};
  };
  std::vector<Entry> entries_;  // the last used at the end
};

}  // namespace ingle::text
