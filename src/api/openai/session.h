// Session: one text request between its client and the worker. It keeps a stream alive while the
// model loads or the prompt is read, telling how far it is in comments, and sends what goes wrong
// after the stream has begun as an error inside it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/call.h"
#include "base/loop.h"

namespace ingle::api::openai {

class Session {
 public:
  // A stream begins at the first event, or after kQuietFirst of waiting.
  static constexpr base::Millis kQuietFirst{250};
  static constexpr base::Millis kQuietNext{1000};

  Session(Call& call, bool stream);

  bool is_stream() const { return stream_; }
  // What the next comment says; one line.
  void set_progress(std::string text) { progress_ = std::move(text); }

  // Awaits `work`; meanwhile a stream gets comments. `work` must end by itself when the client
  // goes.
  template <class T>
  base::Task<T> keep_alive(base::Task<T> work) {
    if (!stream_) co_return co_await std::move(work);
    Waiting<T> waiting(call_.parts.loop);
    base::TaskScope scope;
    scope.spawn(run(std::move(work), waiting));
    auto quiet = kQuietFirst;
    while (!waiting.result) {
      if (co_await waiting.done.wait(quiet)) break;
      quiet = kQuietNext;
      (void)co_await comment();
    }
    co_await scope.join();
    co_return std::move(*waiting.result);
  }

  // Writes whole events, beginning the stream first; callers take turns. Errors: cancelled.
  base::Task<base::Status> send(std::string_view events);
  // Ends the stream as it should: with "[DONE]".
  base::Task<base::Status> finish();
  // Returns the error for the router when nothing has been sent; else sends it and ends the stream.
  base::Task<base::Status> give_up(base::Error error);

 private:
  template <class T>
  struct Waiting {
    explicit Waiting(base::Loop& loop) : done(loop) {}
    std::optional<T> result;
    base::Gate done;
  };
  template <class T>
  static base::Task<void> run(base::Task<T> work, Waiting<T>& waiting) {
    waiting.result.emplace(co_await std::move(work));
    waiting.done.set();
  }
  base::Task<base::Status> begin();
  base::Task<base::Status> comment();

  Call& call_;
  const bool stream_;
  bool begun_ = false;
  bool sending_ = false;  // an exchange takes one call at a time
  base::Gate sent_;
  std::string progress_{"waiting"};
};

}  // namespace ingle::api::openai
