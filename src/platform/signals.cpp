#include "platform/signals.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "platform/asio_loop.h"

namespace ingle::platform {
namespace {

class AsioSignalWatch final : public SignalWatch {
 public:
  AsioSignalWatch(AsioLoop& loop, std::initializer_list<int> signals,
                  std::function<void(int)> on_signal)
      : loop_(loop), set_(loop.context()), on_signal_(std::move(on_signal)) {
    for (const int number : signals) set_.add(number);
    wait();
  }

 private:
  void wait() {
    set_.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      loop_.turn("signal", [&] { on_signal_(number); });
      wait();
    });
  }

  AsioLoop& loop_;
  boost::asio::signal_set set_;
  std::function<void(int)> on_signal_;
};

}  // namespace

std::unique_ptr<SignalWatch> watch_signals(AsioLoop& loop, std::initializer_list<int> signals,
                                           std::function<void(int)> on_signal) {
  return std::make_unique<AsioSignalWatch>(loop, signals, std::move(on_signal));
}

}  // namespace ingle::platform
