#include "media/previews.h"

#include "pixels/encode.h"

namespace ingle::media {

void Previews::put(std::string job, std::string payload, std::function<void()> shown) {
  if (encoding_) return;
  encoding_ = true;
  encoding_job_ = job;
  scope_.spawn(encode(std::move(job), std::move(payload), std::move(shown)));
}

base::Task<void> Previews::encode(std::string job, std::string payload,
                                  std::function<void()> shown) {
  auto jpeg = co_await base::run_on(
      lanes_, loop_, base::Lane::normal, "encode a preview", [&]() -> base::Result<std::string> {
        TRY_ASSIGN(const auto raw, protocol::decode_picture(payload));
        if (raw.channels != 3)
          return base::fail(base::ErrorCode::malformed, "a preview of one channel");
        return pixels::encode(pixels::Format::jpeg, {raw.width, raw.height, raw.pixels}, kQuality);
      });
  encoding_ = false;
  if (!jpeg || encoding_job_ != job) co_return;
  const auto before = get(job);
  newest_[job] = std::make_shared<const Preview>(
      Preview{.version = before ? before->version + 1 : 1, .jpeg = *std::move(jpeg)});
  // Jobs end in order, more or less: the lowest id is the oldest.
  if (newest_.size() > kJobsMax) newest_.erase(newest_.begin());
  if (shown) shown();
}

std::shared_ptr<const Preview> Previews::get(const std::string& job) const {
  const auto found = newest_.find(job);
  return found == newest_.end() ? nullptr : found->second;
}

}  // namespace ingle::media
