#include "insight/metrics.h"

#include <algorithm>
#include <cmath>
#include <format>

#include "base/check.h"
#include "base/utf8.h"

namespace ingle::insight {
namespace {

bool is_metric_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
  };
  return !name.empty() && letter(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

enum class Place { help, label };

void append_escaped(std::string& out, std::string_view text, Place place) {
  while (!text.empty()) {
    const auto next = base::first_char(text);
    if (next.code == '\\')
      out += "\\\\";
    else if (next.code == '\n')
      out += "\\n";
    else if (next.code == '"' && place == Place::label)
      out += "\\\"";
    else if (next.valid)
      out += text.substr(0, next.length);
    else
      out += "\xEF\xBF\xBD";
    text.remove_prefix(next.length);
  }
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  // Shortest text that reads back as the same number; counts stay whole.
  if (value == std::floor(value) && std::abs(value) < 0x1p53) return std::format("{:.0f}", value);
  return std::format("{}", value);
}

}  // namespace

MetricsPage& MetricsPage::begin(std::string_view name, MetricType type, std::string_view help) {
  CHECK(is_metric_name(name), "a metric's name is of letters, digits, '_' and ':'");
  CHECK(type != MetricType::counter || name.ends_with("_total"), "a counter ends in _total");
  CHECK(!std::ranges::contains(names_, name), "a metric begins once on a page");
  name_ = names_.emplace_back(name);
  text_ += std::format("# HELP {} ", name);
  append_escaped(text_, help, Place::help);
  text_ += std::format("\n# TYPE {} {}\n", name, type == MetricType::counter ? "counter" : "gauge");
  return *this;
}

MetricsPage& MetricsPage::sample(double value, const MetricLabels& labels) {
  CHECK(!name_.empty(), "a sample belongs to a metric");
  text_ += name_;
  char separator = '{';
  for (const auto& [label, text] : labels) {
    CHECK(is_metric_name(label), "a label's name is of letters, digits and '_'");
    (text_ += separator) += label;
    text_ += "=\"";
    append_escaped(text_, text, Place::label);
    text_ += '"';
    separator = ',';
  }
  if (!labels.empty()) text_ += '}';
  (text_ += ' ') += number_text(value);
  text_ += '\n';
  return *this;
}

}  // namespace ingle::insight
