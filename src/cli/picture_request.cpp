#include "cli/picture_request.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <format>

namespace ingle::cli {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::ImageFormat;
using protocol::ImageRequest;

template <class T>
std::optional<T> number(std::string_view digits) {
  T value{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// "512x768", or one number for both.
base::Status take_size(std::string_view text, ImageRequest& request) {
  const auto at = text.find('x');
  request.width = number<std::int64_t>(text.substr(0, at));
  request.height =
      at == std::string_view::npos ? request.width : number<std::int64_t>(text.substr(at + 1));
  if (request.width && request.height) return {};
  return fail(ErrorCode::invalid_argument,
              std::format("--size is '{}'; write it as 512x768, or 512", text));
}

// "NAME:WEIGHT", or "NAME"; names may have colons.
protocol::ImageAdapter adapter_of(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon != std::string::npos)
    if (const auto weight = number<double>(std::string_view(text).substr(colon + 1));
        weight && std::isfinite(*weight))
      return {.model = text.substr(0, colon), .weight = *weight};
  return {.model = text};
}

}  // namespace

base::Result<std::optional<ImageFormat>> format_of_name(std::string_view name) {
  auto extension = std::filesystem::path(name).extension().string();
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (extension.empty()) return std::nullopt;
  if (extension == ".png") return ImageFormat::png;
  if (extension == ".jpg" || extension == ".jpeg") return ImageFormat::jpeg;
  if (extension == ".webp") return ImageFormat::webp;
  return fail(ErrorCode::invalid_argument,
              std::format("pictures are written as .png, .jpg or .webp, not as '{}'", extension));
}

base::Result<ImageRequest> picture_request(const ImageArguments& arguments, ImageRequest like) {
  auto out = std::move(like);
  const auto take = [](const std::string& given, std::string& into) {
    if (!given.empty()) into = given;
  };
  take(arguments.prompt, out.prompt);
  take(arguments.model, out.model);
  take(arguments.negative, out.negative_prompt);
  if (arguments.steps) out.steps = arguments.steps;
  if (arguments.guidance) out.guidance = arguments.guidance;
  if (arguments.seed) out.seed = arguments.seed;
  if (arguments.strength) out.strength = arguments.strength;
  if (arguments.quality) out.quality = arguments.quality;
  if (!arguments.sampler.empty()) {
    out.sampler = arguments.sampler;
    out.schedule.clear();  // that of the other sampler
  }
  if (!arguments.size.empty()) TRY(take_size(arguments.size, out));
  if (!arguments.adapters.empty()) {
    out.adapters.clear();
    for (const auto& adapter : arguments.adapters) out.adapters.push_back(adapter_of(adapter));
  }
  TRY_ASSIGN(const auto format, format_of_name(arguments.output));
  if (format) out.format = format;
  out.count = arguments.count;
  out.preview_every = 0;
  out.set = arguments.set;
  return out;
}

}  // namespace ingle::cli
