#include "media/a1111.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <format>
#include <limits>
#include <optional>

namespace ingle::media {
namespace {

using base::ErrorCode;
using base::fail;
using protocol::FoundSettings;
using protocol::GalleryPicture;
using protocol::ImageRequest;

constexpr std::array kSamplers{
    Sampler{"Euler", "euler"},
    Sampler{"Euler a", "euler_a"},
    Sampler{"Heun", "heun"},
    Sampler{"DPM++ 2M", "dpmpp_2m"},
    Sampler{"DPM++ 2M Karras", "dpmpp_2m", "karras"},
    Sampler{"DPM++ 2M SDE", "dpmpp_2m_sde"},
    Sampler{"DPM++ 2M SDE Karras", "dpmpp_2m_sde", "karras"},
    Sampler{"DDIM", "ddim"},
    Sampler{"UniPC", "unipc"},
    Sampler{"LCM", "lcm"},
};

constexpr double kWeightMax = 16;
constexpr std::size_t kLeftOutMax = 64;
constexpr std::size_t kLeftOutBytesMax = 300;
constexpr std::string_view kNegative = "Negative prompt:";
constexpr std::string_view kFirstKey = "Steps:";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

template <class T>
std::optional<T> number(std::string_view text, T least, T most) {
  T out{};
  text = trim(text);
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>)
    if (!std::isfinite(out)) return std::nullopt;
  if (out < least || out > most) return std::nullopt;
  return out;
}

// "NAME:WEIGHT", or "NAME"; names may have colons. A second number, of the picture's part, must be
// the same.
base::Result<protocol::ImageAdapter> read_adapter(std::string_view tag) {
  constexpr double kAny = std::numeric_limits<double>::max();
  const auto wrong = [shown = tag.substr(0, 100)](std::string_view what) {
    return fail(ErrorCode::invalid_argument,
                std::format("<lora:{}> in the prompt {}; write <lora:NAME:WEIGHT>", shown, what));
  };
  std::optional<double> weight;
  for (int numbers = 0; numbers < 2; ++numbers) {
    const auto colon = tag.rfind(':');
    if (colon == std::string_view::npos) break;
    const auto value = number(tag.substr(colon + 1), -kAny, kAny);
    if (!value) break;
    if (std::abs(*value) > kWeightMax) return wrong("has a weight that is not from -16 to 16");
    if (weight && *weight != *value) return wrong("has several weights");
    weight = value;
    tag = tag.substr(0, colon);
  }
  if (trim(tag).empty()) return wrong("has no name");
  return protocol::ImageAdapter{.model = std::string(trim(tag)), .weight = weight.value_or(1)};
}

// Pairs of "key: value, key: "value, with \"signs\"", ...".
struct Pair {
  std::string key;
  std::string value;
};
std::vector<Pair> read_pairs(std::string_view text) {
  std::vector<Pair> out;
  while (!trim(text).empty()) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) break;
    Pair pair{.key = std::string(trim(text.substr(0, colon)))};
    text.remove_prefix(colon + 1);
    while (text.starts_with(' ')) text.remove_prefix(1);
    std::size_t end = 0;
    if (text.starts_with('"')) {
      for (end = 1; end < text.size() && text[end] != '"'; ++end) {
        if (text[end] == '\\' && end + 1 < text.size()) ++end;
        pair.value += text[end];
      }
      end = std::min(text.find(',', std::min(end, text.size())), text.size());
    } else {
      end = std::min(text.find(','), text.size());
      pair.value = trim(text.substr(0, end));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
    out.push_back(std::move(pair));
  }
  return out;
}

bool take_size(std::string_view text, ImageRequest& out) {
  const auto cross = text.find('x');
  if (cross == std::string_view::npos) return false;
  const auto width = number<std::int64_t>(text.substr(0, cross), 1, 1 << 16);
  const auto height = number<std::int64_t>(text.substr(cross + 1), 1, 1 << 16);
  if (width && height) {
    out.width = width;
    out.height = height;
  }
  return width && height;
}

bool take_schedule(std::string_view text, ImageRequest& out) {
  const auto name = lower(text);
  const auto own = name == "align your steps" ? "ays" : name;
  if (own == "automatic") return true;
  const bool known = own == "karras" || own == "exponential" || own == "simple" || own == "ays";
  if (known) out.schedule = own;
  return known;
}

// What says something of a second pass is gathered first: its strength is the picture's otherwise.
struct Hires {
  std::optional<double> scale;
  std::optional<std::int64_t> steps;
  std::optional<double> strength;
};

// Whether the pair was understood.
bool take_pair(const Pair& pair, ImageRequest& out, Hires& hires) {
  constexpr std::int64_t kSeedMax = (std::int64_t{1} << 53) - 65;
  const auto& [key, value] = pair;
  const auto take = [](auto& target, auto found) {
    if (found) target = *found;
    return found.has_value();
  };
  if (key == "Steps") return take(out.steps, number<std::int64_t>(value, 1, 1000));
  if (key == "CFG scale") return take(out.guidance, number(value, 0.0, 100.0));
  if (key == "Distilled CFG Scale") return take(out.guidance, number(value, 0.0, 100.0));
  if (key == "Seed") return take(out.seed, number<std::int64_t>(value, 0, kSeedMax));
  if (key == "Size") return take_size(value, out);
  if (key == "Schedule type") return take_schedule(value, out);
  if (key == "Denoising strength") return take(hires.strength, number(value, 0.0, 1.0));
  if (key == "Hires upscale") return take(hires.scale, number(value, 1.0, 4.0));
  if (key == "Hires steps") return take(hires.steps, number<std::int64_t>(value, 0, 1000));
  if (key == "Sampler" && !value.empty() && value.size() <= 64) {
    take_sampler(value, out);
    return true;
  }
  if (key == "Model") out.model = value;
  if (key == "Clip skip") {
    const auto layers = number<std::int64_t>(value, 1, 13);
    if (layers) out.clip_skip = *layers - 1;
    return layers.has_value();
  }
  return key == "Model" || key == "Version";
}

// Where the line with the settings begins; the text's end: there is none.
std::size_t settings_at(std::string_view text) {
  if (text.starts_with(kFirstKey)) return 0;
  const auto at = text.rfind("\nSteps:");
  return at == std::string_view::npos ? text.size() : at + 1;
}

std::string with_adapters(const GalleryPicture& picture) {
  std::string out = picture.prompt;
  if (!picture.request) return out;
  for (const auto& adapter : picture.request->adapters)
    out += std::format(" <lora:{}:{:g}>", adapter.model, adapter.weight);
  return out;
}

}  // namespace

std::span<const Sampler> samplers() { return kSamplers; }

void take_sampler(std::string_view name, ImageRequest& request) {
  const auto folded = lower(name);
  request.sampler = name;
  for (const auto& sampler : kSamplers) {
    if (folded != lower(sampler.name) && folded != sampler.own) continue;
    request.sampler = sampler.own;
    if (request.schedule.empty()) request.schedule = sampler.schedule;
    return;
  }
}

base::Status take_adapters(ImageRequest& request) {
  constexpr std::string_view kOpen = "<lora:";
  std::string prompt;
  std::string_view rest = request.prompt;
  for (auto at = rest.find(kOpen); at != std::string_view::npos; at = rest.find(kOpen)) {
    const auto end = rest.find('>', at);
    if (end == std::string_view::npos) break;
    TRY_ASSIGN(auto adapter, read_adapter(rest.substr(at + kOpen.size(), end - at - kOpen.size())));
    const auto same =
        std::ranges::find(request.adapters, adapter.model, &protocol::ImageAdapter::model);
    if (same != request.adapters.end())
      same->weight += adapter.weight;
    else
      request.adapters.push_back(std::move(adapter));
    if (request.adapters.size() > kPromptAdaptersMax)
      return fail(ErrorCode::limit_exceeded,
                  std::format("at most {} adapters can be added", kPromptAdaptersMax));
    prompt += rest.substr(0, at);
    rest.remove_prefix(end + 1);
    if (prompt.ends_with(' ')) rest.remove_prefix(rest.starts_with(' ') ? 1 : 0);
  }
  prompt += rest;
  if (prompt.size() != request.prompt.size()) request.prompt = trim(prompt);
  return {};
}

std::string a1111_parameters(const GalleryPicture& picture) {
  std::string out = with_adapters(picture) + "\n";
  if (!picture.negative_prompt.empty()) out += "Negative prompt: " + picture.negative_prompt + "\n";
  const auto request = picture.request.value_or(ImageRequest{});
  const auto& hires = request.extras.hires;
  // There the size is that before the second pass.
  const auto side = [&](std::int64_t drawn, std::optional<std::int64_t> asked) {
    if (!hires || hires->scale <= 0) return drawn;
    return asked.value_or(std::llround(static_cast<double>(drawn) / hires->scale));
  };
  out += std::format("Steps: {}, Sampler: {}, ", picture.steps, picture.sampler);
  if (!request.schedule.empty()) out += std::format("Schedule type: {}, ", request.schedule);
  out += std::format("CFG scale: {:g}, Seed: {}, Size: {}x{}, Model: {}", picture.guidance,
                     picture.seed, side(picture.width, request.width),
                     side(picture.height, request.height), picture.model);
  if (picture.strength) out += std::format(", Denoising strength: {:g}", *picture.strength);
  if (request.clip_skip > 0) out += std::format(", Clip skip: {}", request.clip_skip + 1);
  if (hires) {
    if (!picture.strength) out += std::format(", Denoising strength: {:g}", hires->strength);
    out += std::format(", Hires upscale: {:g}, Hires steps: {}", hires->scale, hires->steps);
  }
  return out + ", Version: ingle";
}

base::Result<FoundSettings> read_a1111(std::string_view text) {
  FoundSettings out{.origin = protocol::SettingsOrigin::a1111};
  auto& request = out.request;
  const auto settings = settings_at(text);
  auto words = text.substr(0, settings);
  const auto negative =
      words.starts_with(kNegative) ? 0 : words.find("\n" + std::string(kNegative));
  if (negative != std::string_view::npos) {
    const auto from = words.find(kNegative, negative) + kNegative.size();
    request.negative_prompt = trim(words.substr(from));
    words = words.substr(0, negative);
  }
  request.prompt = trim(words);
  TRY(take_adapters(request));
  Hires hires;
  auto line = text.substr(settings);
  for (const auto& pair : read_pairs(line.substr(0, line.find('\n')))) {
    if (take_pair(pair, request, hires) || out.left_out.size() >= kLeftOutMax) continue;
    out.left_out.push_back((pair.key + ": " + pair.value).substr(0, kLeftOutBytesMax));
  }
  if (hires.scale && *hires.scale > 1)
    request.extras.hires = protocol::HiresPass{.scale = *hires.scale,
                                               .strength = hires.strength.value_or(0.7),
                                               .steps = hires.steps.value_or(0)};
  else
    request.strength = hires.strength;
  return out;
}

}  // namespace ingle::media
