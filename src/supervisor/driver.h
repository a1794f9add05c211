// Driver: what differs between kinds of engines, so that one Worker (worker.h) serves them all.
// It belongs to one worker and lives on the loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/task.h"
#include "platform/process.h"

namespace ingle::supervisor {

enum class Health { loading, ready };

// One line of a worker's output, understood.
struct OutputLine {
  base::LogLevel level = base::LogLevel::info;
  std::string message{};  // without the engine's own framing; may hold untrusted bytes
};

class Driver {
 public:
  virtual ~Driver() = default;
  // Name of the engine in words for people, such as "llama-server".
  virtual const std::string& engine() const = 0;
  virtual platform::SpawnOptions spawn_options() const = 0;
  // Asks the worker once how it is. Errors: io_error (nobody listens yet), upstream_error (it
  // answers nonsense), cancelled; all of them mean "ask again".
  virtual base::Task<base::Result<Health>> probe(base::CancelToken cancel) = 0;
  // Nothing: the line is not worth a record.
  virtual std::optional<OutputLine> read_line(std::string_view line) const = 0;
  // Whether this line means that probe() will now answer differently, so that it is worth asking
  // at once.
  virtual bool is_news(const OutputLine& line) const = 0;
  // Resident memory of the worker once it is ready, as far as it can be told: for the progress.
  virtual std::uint64_t resident_bytes_expected() const = 0;
};

}  // namespace ingle::supervisor
