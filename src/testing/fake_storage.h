// Storage on virtual time: a real database in a folder, whose work runs on the fake loop a moment
// after it was asked for, in the order of asking. One thread only.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "storage/storage.h"
#include "testing/fake_loop.h"

namespace ingle::testing {

class FakeStorage final : public storage::Storage {
 public:
  FakeStorage(FakeLoop& loop, const std::filesystem::path& path)
      : loop_(loop), connection_(storage::Connection::open(path).value()) {}

  base::Task<base::Status> opened() override { co_return base::Status{}; }
  base::Task<base::Status> run(Work work) override {
    std::ignore = co_await base::sleep_for(loop_, base::Millis(1));
    if (refusal_) co_return base::fail(*refusal_);
    co_return work(*connection_);
  }

  // From now on run() answers this error; nothing: it works again.
  void refuse(std::optional<base::Error> error) { refusal_ = std::move(error); }
  storage::Connection& connection() { return *connection_; }

 private:
  FakeLoop& loop_;
  const std::unique_ptr<storage::Connection> connection_;
  std::optional<base::Error> refusal_;
};

}  // namespace ingle::testing
