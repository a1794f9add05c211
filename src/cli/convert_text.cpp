#include "cli/convert_text.h"

#include <algorithm>
#include <cmath>
#include <format>

#include "base/bytes.h"
#include "cli/table.h"
#include "insight/escape.h"

namespace ingle::cli {
namespace {

constexpr std::size_t kNamesShown = 3;

std::string bytes_text(std::int64_t bytes) {
  return base::format_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0)));
}

std::string percent(double share) { return share > 0 ? std::format("{:.2g} %", share * 100) : "-"; }

std::string names_text(const protocol::ConvertFallback& fallback) {
  std::string out;
  const auto shown = std::min(fallback.names.size(), kNamesShown);
  for (std::size_t i = 0; i < shown; ++i) out += (i > 0 ? ", " : "") + fallback.names[i];
  if (fallback.tensors > static_cast<std::int64_t>(shown)) out += ", ...";
  return out;
}

}  // namespace

std::string convert_text(const protocol::ConvertResult& result, int columns_max) {
  std::string out = insight::escape_line(result.path) + ": " + bytes_text(result.size_bytes);
  if (result.source_bytes > 0)
    out += std::format(
        ", {:.3g} % of {}",
        100 * static_cast<double>(result.size_bytes) / static_cast<double>(result.source_bytes),
        bytes_text(result.source_bytes));
  const auto took_us =
      std::clamp(std::isfinite(result.took_ms) ? result.took_ms * 1e3 : 0, 0., 1e15);
  out += ", in " + base::format_duration(base::Micros(std::llround(took_us))) + "\n";
  Table table({{.title = "TYPE"},
               {Column::Align::right, "TENSORS"},
               {Column::Align::right, "SIZE"},
               {Column::Align::right, "ERROR"},
               {Column::Align::right, "WORST"},
               {.title = "TENSOR"}});
  for (const auto& type : result.types)
    table.add({type.type, std::to_string(type.tensors), bytes_text(type.size_bytes),
               percent(type.relative_error), percent(type.worst_relative_error),
               type.worst.empty() ? "-" : type.worst});
  out += table.text(columns_max);
  for (const auto& fallback : result.fallbacks)
    out += insight::escape_line(std::format(
               "{} tensor{} became {} instead of {}, whose blocks do not fit the rows: {}",
               fallback.tensors, fallback.tensors == 1 ? "" : "s", fallback.type, fallback.wanted,
               names_text(fallback))) +
           "\n";
  for (const auto& rule : result.unused_rules)
    out += insight::escape_line(std::format("no tensor fits the rule '{}'", rule)) + "\n";
  return out;
}

}  // namespace ingle::cli
