#include "cli/chat_reader.h"

#include <format>

#include "base/bytes.h"
#include "cli/daemon_client.h"
#include "protocol/json.h"

namespace ingle::cli {
namespace {

constexpr std::size_t kContentMax = 64 << 20;
constexpr int kErrorInStream = 200;

const protocol::Json* find(const protocol::Json* json, std::string_view key) {
  return json == nullptr ? nullptr : json->find(key);
}

const std::string* text_at(const protocol::Json* json, std::string_view key) {
  const auto* member = find(json, key);
  return member == nullptr ? nullptr : member->as_string();
}

std::optional<std::int64_t> count_at(const protocol::Json* json, std::string_view key) {
  const auto* member = find(json, key);
  return member == nullptr ? std::nullopt : member->as_int();
}

}  // namespace

bool ChatReader::feed(std::string_view bytes) {
  const bool fits = splitter_.feed(bytes, [&](std::string_view event) { take_event(event); });
  if (!fits && !error_)
    error_ = base::Error{base::ErrorCode::limit_exceeded, "one event of the answer is too large"};
  return !done_ && !error_;
}

void ChatReader::take_event(std::string_view event) {
  if (done_ || error_) return;
  if (event.starts_with(':')) {
    auto comment = event.substr(1, event.find('\n') - 1);
    while (comment.starts_with(' ')) comment.remove_prefix(1);
    if (comment.ends_with('\r')) comment.remove_suffix(1);
    if (sinks_.on_progress && !comment.empty()) sinks_.on_progress(comment);
  }
  const auto data = http::sse_data(event);
  if (!data.empty()) take_data(data);
}

void ChatReader::take_data(std::string_view data) {
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  const auto json = protocol::parse_json(data);
  if (!json) {
    error_ = json.error();
    error_->context.emplace_back("reading the answer");
    return;
  }
  if (json->find("error") != nullptr) {
    error_ = error_of_answer(kErrorInStream, data);
    return;
  }
  if (const auto* usage = json->find("usage"); usage != nullptr && !usage->is_null()) {
    figures_.prompt_tokens = count_at(usage, "prompt_tokens");
    figures_.completion_tokens = count_at(usage, "completion_tokens");
  }
  if (const auto* rate = find(json->find("timings"), "predicted_per_second"))
    figures_.tokens_per_second = rate->as_double();
  const auto* choices = json->find("choices");
  const auto* list = choices == nullptr ? nullptr : choices->as_array();
  if (list == nullptr || list->empty()) return;
  const auto* delta = list->front().find("delta");
  if (const auto* reasoning = text_at(delta, "reasoning_content");
      reasoning != nullptr && !reasoning->empty())
    sinks_.on_reasoning(*reasoning);
  if (const auto* content = text_at(delta, "content"); content != nullptr && !content->empty()) {
    content_ += *content;
    sinks_.on_content(*content);
  }
  if (content_.size() > kContentMax)
    error_ = base::Error{base::ErrorCode::limit_exceeded, "the answer is over 64 MiB long"};
}

base::Status ChatReader::end() const {
  if (error_) return base::fail(*error_);
  if (!done_)
    return base::fail(base::ErrorCode::upstream_error,
                      "the answer ended before its end: `ingle logs` says why");
  return {};
}

std::string figures_text(const ChatFigures& figures, base::Micros first_token, base::Micros whole) {
  std::string out;
  if (figures.completion_tokens) {
    out += std::format("{} {} in {}", *figures.completion_tokens,
                       *figures.completion_tokens == 1 ? "token" : "tokens",
                       base::format_duration(whole));
    auto rate = figures.tokens_per_second;
    const double seconds = std::chrono::duration<double>(whole - first_token).count();
    if (!rate && *figures.completion_tokens > 1 && seconds > 0)
      rate = static_cast<double>(*figures.completion_tokens - 1) / seconds;
    if (rate && *rate > 0) out += std::format(", {:.1f} tokens/s", *rate);
  } else {
    out += "answered in " + base::format_duration(whole);
  }
  if (figures.prompt_tokens) out += std::format(", prompt {} tokens", *figures.prompt_tokens);
  return out + ", first token after " + base::format_duration(first_token);
}

}  // namespace ingle::cli
