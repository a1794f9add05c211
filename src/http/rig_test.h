// For the tests of http/: a server on a loop of its own thread, and a blocking raw socket that can
// send whatever bytes, so that tests read like a conversation. Waits end after kPatience at most,
// which only a failing test reaches.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "http/client.h"
#include "http/server.h"
#include "platform/asio_loop.h"

namespace ingle::http {

inline constexpr base::Seconds kPatience{30};

// A loop that runs on a thread of its own.
class LoopThread {
 public:
  LoopThread() : thread_([this] { loop_.run(); }) {}
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  ~LoopThread() {
    loop_.stop();
    thread_.join();
  }

  platform::AsioLoop& loop() { return loop_; }
  // Calls `body` on the loop and returns what it returns.
  template <class F>
  auto call(F body) -> std::invoke_result_t<F> {
    std::promise<std::invoke_result_t<F>> promise;
    auto future = promise.get_future();
    loop_.post([&] {
      if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
        body();
        promise.set_value();
      } else {
        promise.set_value(body());
      }
    });
    return future.get();
  }
  // Runs a task on the loop and waits for its value.
  template <class T>
  T run(base::Task<T> task) {
    std::promise<T> promise;
    auto future = promise.get_future();
    base::TaskScope scope;
    loop_.post([&] {
      scope.spawn([](base::Task<T> inner, std::promise<T>& out) -> base::Task<void> {
        if constexpr (std::is_void_v<T>) {
          co_await std::move(inner);
          out.set_value();
        } else {
          out.set_value(co_await std::move(inner));
        }
      }(std::move(task), promise));
    });
    EXPECT_EQ(future.wait_for(kPatience), std::future_status::ready);
    call([] {});  // the scope's end of the task is on the loop, too
    return future.get();
  }
  // Waits until `condition` holds on the loop.
  void await(std::function<bool()> condition);

 private:
  platform::SystemClock clock_;
  platform::AsioLoop loop_{clock_, {}};
  std::thread thread_;
};

// A server on 127.0.0.1 whose handler is a function; drained at the end.
class ServerRig : public Handler {
 public:
  using Serve = std::function<base::Task<void>(Exchange&)>;

  explicit ServerRig(Serve serve, ServerLimits limits = {});
  ~ServerRig() override;

  LoopThread& thread() { return thread_; }
  Server& server() { return *server_; }
  std::uint16_t port() const { return port_; }
  Endpoint endpoint() const { return TcpEndpoint{"127.0.0.1", port_}; }
  void drain(base::Micros limit);

  base::Task<void> handle(Exchange& exchange) override { return serve_(exchange); }
  Response on_refused(int status, const base::Error& error, std::string_view target) override;

 private:
  const Serve serve_;
  LoopThread thread_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
  bool drained_ = false;
};

// A handler that answers 200 with this body.
ServerRig::Serve answer(std::string body);

class RawSocket {
 public:
  // Connected to 127.0.0.1.
  explicit RawSocket(std::uint16_t port, int receive_buffer_bytes = 0);
  explicit RawSocket(const std::filesystem::path& unix_path);
  // Takes a connected descriptor.
  struct Descriptor {
    int value;
  };
  explicit RawSocket(Descriptor descriptor) : descriptor_(descriptor.value) {}
  RawSocket(RawSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  RawSocket& operator=(RawSocket&&) = delete;
  ~RawSocket() { close(); }

  bool connected() const { return descriptor_ >= 0; }
  // False when the other side does not take it.
  bool send(std::string_view bytes);
  // Reads until the bytes so far end with or contain `mark`; fails at the end.
  std::string read_until(std::string_view mark);
  // Reads exactly so many bytes (fewer at the end).
  std::string read_bytes(std::size_t count);
  // Reads one whole answer with a Content-Length (the body only of an answer not to HEAD).
  std::string read_answer();
  // Everything until the end; "<reset>" is appended when the connection was reset.
  std::string read_to_end();
  void end_sending();
  // Closes with a reset.
  void reset();
  void close();

 private:
  int descriptor_ = -1;
  std::string ahead_;  // came, but not asked for
};

// A listener that hands over what connects: a server that a test plays itself.
class RawListener {
 public:
  RawListener();
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;
  ~RawListener();
  Endpoint endpoint() const { return TcpEndpoint{"127.0.0.1", port_}; }
  RawSocket accept();

 private:
  int descriptor_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace ingle::http
