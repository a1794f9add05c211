// Cancellation: a source says "stop", tokens hear it. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

namespace ingle::base {

class CancelToken;

namespace detail {
struct CancelState {
  bool cancelled = false;
  std::uint64_t next_id = 0;
  std::map<std::uint64_t, std::function<void()>> callbacks;
};
}  // namespace detail

// Unregisters its callback when it is destroyed.
class CancelRegistration {
 public:
  CancelRegistration() = default;
  CancelRegistration(std::shared_ptr<detail::CancelState> state, std::uint64_t id)
      : state_(std::move(state)), id_(id) {}
  CancelRegistration(CancelRegistration&& other) noexcept
      : state_(std::move(other.state_)), id_(other.id_) {}
  CancelRegistration& operator=(CancelRegistration&& other) noexcept {
    reset();
    state_ = std::move(other.state_);
    id_ = other.id_;
    return *this;
  }
  ~CancelRegistration() { reset(); }
  void reset() {
    if (state_) state_->callbacks.erase(id_);
    state_.reset();
  }

 private:
  std::shared_ptr<detail::CancelState> state_;
  std::uint64_t id_ = 0;
};

// Cheap to copy. A default one is never cancelled.
class CancelToken {
 public:
  CancelToken() = default;
  bool cancelled() const { return state_ && state_->cancelled; }
  // Runs `callback` once, inside cancel(); at once when already cancelled.
  [[nodiscard]] CancelRegistration on_cancel(std::function<void()> callback) const {
    if (!state_) return {};
    if (state_->cancelled) {
      callback();
      return {};
    }
    const auto id = state_->next_id++;
    state_->callbacks.emplace(id, std::move(callback));
    return {state_, id};
  }

 private:
  friend class CancelSource;
  explicit CancelToken(std::shared_ptr<detail::CancelState> state) : state_(std::move(state)) {}
  std::shared_ptr<detail::CancelState> state_;  // shared: tokens may outlive their source
};

class CancelSource {
 public:
  CancelSource() : state_(std::make_shared<detail::CancelState>()) {}
  CancelToken token() const { return CancelToken(state_); }
  bool cancelled() const { return state_->cancelled; }
  // Idempotent. Callbacks run here, in the order of registration.
  void cancel() {
    if (state_->cancelled) return;
    const auto keep = state_;  // a callback may destroy this source
    keep->cancelled = true;
    while (!keep->callbacks.empty()) {
      auto node = keep->callbacks.extract(keep->callbacks.begin());
      node.mapped()();
    }
  }

 private:
  std::shared_ptr<detail::CancelState> state_;
};

}  // namespace ingle::base
