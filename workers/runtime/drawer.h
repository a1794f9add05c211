// Drawer: one pipeline on a thread of its own: loaded once, then drawing one request at a time. The
// loop owns it and never waits for it; what happens on the drawing thread comes back as calls on
// the loop. Loop thread only.
//
//   loading  the weights are being packed; progress() rises
//   ready    <-> drawing
//   failed   the load ended with an error
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/lanes.h"
#include "base/loop.h"
#include "protocol/drawing.h"
#include "protocol/frames.h"
#include "runtime/loader.h"

namespace ingle::runtime {

inline constexpr std::int64_t kPicturesMax = 64;  // of one request
inline constexpr std::int64_t kStepsMax = 1000;

// What the worker is asked to draw: the request and files as they were sent.
struct Order {
  protocol::DrawRequest request{};
  std::string image{};  // encoded; empty: none
  std::string mask{};
};

// Checks what needs no model. Errors: invalid_argument, naming the field.
base::Status check_order(const Order& order);

class Drawer {
 public:
  enum class State { loading, ready, drawing, failed };
  // Whole frames to be sent on; on the loop. `droppable`: only tells how far it is.
  struct Piece {
    std::string frames{};
    bool droppable = false;
  };
  using Sink = std::function<void(Piece)>;

  // `loop` outlives the drawer.
  Drawer(base::Loop& loop, Loader loader);
  // Stops what is under way and waits for it.
  ~Drawer();
  Drawer(const Drawer&) = delete;
  Drawer& operator=(const Drawer&) = delete;

  // Loads; once. Errors: the loader's.
  base::Task<base::Status> load();
  // Draws; pieces go to `sink` in order, before it returns. Errors: pending (still loading),
  // conflict (another drawing is under way), and those of pixels::decode() and the pipeline.
  base::Task<base::Result<protocol::DrawEnd>> draw(Order order, Sink sink);
  // Ends the drawing under way, within one operation of the executor. Fine when there is none.
  void stop() { stop_.store(true, std::memory_order_relaxed); }

  State state() const { return state_; }
  double progress() const;
  // Only when loaded.
  protocol::DrawerInfo info() const;
  // As it was when the last drawing ended; loaded only.
  protocol::DrawerMemory memory() const { return memory_; }

 private:
  base::Result<protocol::DrawEnd> draw_blocking(const Order& order, const Sink& sink);
  protocol::DrawerMemory read_memory() const;

  base::Loop& loop_;
  const Loader loader_;
  State state_ = State::loading;
  Loaded loaded_;
  protocol::DrawerMemory memory_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> loaded_bytes_{0};
  std::atomic<std::uint64_t> total_bytes_{0};
  // A pool has two threads at least; one of them rests.
  base::LanePool thread_{{.threads = 2, .queue_limit = 4, .thread_name = "ingle-draw"}};
};

}  // namespace ingle::runtime
