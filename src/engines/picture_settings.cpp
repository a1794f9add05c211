#include "engines/picture_settings.h"

#include <algorithm>
#include <array>
#include <format>

#include "base/bytes.h"
#include "base/near_names.h"
#include "engines/given_settings.h"
#include "engines/picture_parts.h"
#include "engines/setting_rules.h"

namespace ingle::engines {
namespace {

using base::ErrorCode;
using base::fail;
using base::format_bytes;
using protocol::MemoryKind;
using resources::kHost;

constexpr std::int64_t kSideMin = 16;
constexpr std::int64_t kSideMax = 4096;
constexpr std::int64_t kSideUnknown = 512;
// Sides that room is kept for: few, so that pictures of nearly the same size share a worker.
constexpr std::array<std::int64_t, 7> kSides{512, 768, 1024, 1536, 2048, 3072, 4096};

// What decoding a pixel takes in bf16 at its widest point: three tensors of 256 channels. Nothing
// else in these models is as large.
constexpr std::uint64_t kBytesPerPixel = 3 * 256 * 2;
constexpr std::uint64_t kWorkerBytes = 96ull << 20;  // libraries, files' pages, small tensors

std::string path_of(const protocol::ModelInfo& model) {
  const std::filesystem::path path(model.path);
  return (path.filename() == catalog::kModelIndex ? path.parent_path() : path).native();
}

base::Status check_value(std::string_view name, std::string_view value) {
  const auto refuse = [&](std::string_view expected) -> base::Status {
    return fail(ErrorCode::invalid_argument,
                std::format("setting {}={} is not valid: it must be {}", name, value, expected));
  };
  const auto number = parse_number(value);
  if (name == "threads")
    return number && *number >= 1 && *number <= 1024 ? base::Status{}
                                                     : refuse("a number from 1 to 1024");
  if (name == "picture_side")
    return number && *number >= kSideMin && *number <= kSideMax
               ? base::Status{}
               : refuse(std::format("a number from {} to {}", kSideMin, kSideMax));
  if (is_part_setting(name))
    return value.empty() ? refuse("a component's name, or its path") : base::Status{};
  if (name == "precision")
    return value == "f32" || value == "bf16" || value == "int8" ? base::Status{}
                                                                : refuse("f32, bf16 or int8");
  if (name == "executor")
    return value == "auto" || value == "onednn" || value == "ggml" ? base::Status{}
                                                                   : refuse("auto, onednn or ggml");
  return is_device(value) ? base::Status{} : refuse("auto, host, or a GPU such as gpu0");
}

double bytes_per_element(std::string_view precision) {
  // Linear layers in one byte with a scale a block; convolutions and the decoder stay in f16.
  if (precision == "int8") return 1.4;
  return precision == "f32" ? 4 : 2;
}

// What it takes of a device (the rest is the host's).
resources::Footprint footprint_of(const catalog::ModelRecord& model, std::string_view precision,
                                  std::int64_t side, std::size_t device) {
  resources::Footprint out;
  for (const auto& part : model.picture.parts) {
    if (part.elements == 0) continue;  // a tokenizer
    const auto kind = part.role.starts_with("text_encoder") ? MemoryKind::encoder
                      : part.role == "vae"                  ? MemoryKind::decoder
                                                            : MemoryKind::weights;
    out.pieces.push_back({device, kind,
                          static_cast<std::uint64_t>(static_cast<double>(part.elements) *
                                                     bytes_per_element(precision))});
  }
  const auto pixels = static_cast<std::uint64_t>(side) * static_cast<std::uint64_t>(side);
  out.pieces.push_back(
      {device, MemoryKind::compute, pixels * kBytesPerPixel * (precision == "f32" ? 2 : 1)});
  out.pieces.push_back({kHost, MemoryKind::other, kWorkerBytes});
  return out;
}

std::int64_t own_side(const catalog::ModelRecord& model) {
  return std::clamp(model.picture.side > 0 ? model.picture.side : kSideUnknown, kSideMin, kSideMax);
}

class PictureWording {
 public:
  PictureWording(const catalog::ModelRecord& model, const LaunchRoom& room,
                 const protocol::ImagesConfig& config, const std::vector<std::string>& set)
      : model_(model), room_(room), config_(config), given_(set, {}) {}

  base::Result<LaunchSettings> run() {
    const int physical = std::clamp(room_.machine.cores_physical, 1, room_.machine.cores_logical);
    out_.threads = number("threads", config_.threads > 0 ? config_.threads : physical,
                          config_.threads > 0 ? "config" : "derived",
                          "one for each physical core: pictures are bound by arithmetic");
    const auto precision =
        text("precision", config_.precision, "config", "images.precision in the configuration");
    const auto side = number("picture_side", own_side(model_), "derived",
                             "what the model was trained for; room is kept for such pictures");
    TRY_ASSIGN(const auto device, choose_device(precision, side));
    out_.footprint = out_.reserved = footprint_of(model_, precision, side, device);
    const auto drawing_bytes = compute_bytes();
    // On the host, room for drawing is held from the start though it is taken with the first
    // picture: else somebody would be let in meanwhile.
    if (device == kHost) {
      std::erase_if(out_.footprint.pieces,
                    [](const auto& piece) { return piece.kind == MemoryKind::compute; });
      out_.use.cache_ram_bytes = drawing_bytes;
    }
    out_.placement = device == kHost ? "processor" : "all of it on " + room_.devices[device].id;
    out_.reasons.push_back(reason_);
    out_.reasons.push_back(std::format("it takes {}, of which {} are for drawing {} by {} pixels",
                                       format_bytes(out_.reserved.total()),
                                       format_bytes(drawing_bytes), side, side));
    return std::move(out_);
  }

 private:
  std::int64_t number(std::string_view name, std::int64_t otherwise, std::string_view origin,
                      std::string_view reason) {
    const auto value = given_.number(name);
    explain(name, std::to_string(value.value_or(otherwise)), origin, reason);
    return value.value_or(otherwise);
  }
  std::string text(std::string_view name, const std::string& otherwise, std::string_view origin,
                   std::string_view reason) {
    auto value = given_.text_or(name, otherwise);
    explain(name, value, origin, reason);
    return value;
  }
  void explain(std::string_view name, const std::string& value, std::string_view origin,
               std::string_view reason) {
    const bool given = given_.find(name) != nullptr;
    out_.explained.push_back({std::string(name), value,
                              given ? std::string("asked for") : std::string(reason),
                              given ? std::string("request") : std::string(origin)});
  }

  std::uint64_t compute_bytes() const {
    for (const auto& piece : out_.footprint.pieces)
      if (piece.kind == MemoryKind::compute) return piece.bytes;
    return 0;
  }

  // Whether everything fits when the model lies on this device.
  bool fits(const resources::Footprint& footprint) const {
    for (std::size_t i = 0; i < room_.devices.size(); ++i)
      if (footprint.on(i) > room_.devices[i].bytes) return false;
    return true;
  }

  base::Result<std::size_t> choose_device(const std::string& precision, std::int64_t side) {
    auto executor = given_.text_or("executor", config_.executor);
    // Only ggml has weights of a byte.
    if (given_.text_or("precision", config_.precision) == "int8") {
      if (executor == "onednn")
        return fail(ErrorCode::invalid_argument,
                    "executor=onednn has no precision=int8: choose bf16, or executor=ggml");
      executor = "ggml";
    }
    const auto wanted = given_.text_or("device", "auto");
    if (executor == "onednn" && wanted.starts_with("gpu"))
      return fail(
          ErrorCode::invalid_argument,
          "executor=onednn draws on the processor: leave out device, or give executor=ggml");
    std::size_t device = kHost;
    reason_ = "there is no GPU that holds it: it draws on the processor";
    for (std::size_t i = 1; i < room_.devices.size(); ++i) {
      const auto& gpu = room_.devices[i];
      const bool asked = wanted == gpu.id;
      const bool may = executor != "onednn" && wanted == "auto" && !gpu.engine_name.empty() &&
                       fits(footprint_of(model_, precision, side, i)) &&
                       (device == kHost || gpu.bytes > room_.devices[device].bytes);
      if (!asked && !may) continue;
      device = i;
      reason_ = asked ? gpu.id + " was asked for" : gpu.id + " holds all of it";
    }
    if (wanted.starts_with("gpu") && device == kHost)
      return fail(
          ErrorCode::invalid_argument,
          std::format("device={}: there is no such GPU here (`ingle system` lists them)", wanted));
    if (wanted == "host" || executor == "onednn") reason_ = "the processor was asked for";
    TRY(check_room(footprint_of(model_, precision, side, device), precision, side));
    out_.device = room_.devices.empty() ? "host" : room_.devices[device].id;
    if (device != kHost) out_.engine_device = room_.devices[device].engine_name;
    explain("executor", device != kHost || executor == "ggml" ? "ggml" : "onednn",
            executor == "auto" ? "derived" : "config", reason_);
    explain("device", out_.device, "derived", reason_);
    return device;
  }

  base::Status check_room(const resources::Footprint& footprint, const std::string& precision,
                          std::int64_t side) const {
    if (room_.devices.empty() || fits(footprint)) return {};
    base::Error out{
        ErrorCode::out_of_memory,
        std::format("'{}' needs {} to draw {} by {} pixels in {}, and it can get {} on the host",
                    model_.info.id, format_bytes(footprint.total()), side, side, precision,
                    format_bytes(room_.devices[kHost].bytes))};
    std::string would_fit =
        "a smaller model may fit, or more free memory: close other applications";
    for (const auto smaller : {std::int64_t{1024}, std::int64_t{768}, std::int64_t{512}})
      if (smaller < side && fits(footprint_of(model_, precision, smaller, kHost))) {
        would_fit = std::format("would fit: pictures of {} by {} pixels", smaller, smaller);
        break;
      }
    out.context.push_back(std::move(would_fit));
    return fail(std::move(out));
  }

  const catalog::ModelRecord& model_;
  const LaunchRoom& room_;
  const protocol::ImagesConfig& config_;
  const GivenSettings given_;
  LaunchSettings out_;
  std::string reason_;
};

}  // namespace

base::Result<std::vector<std::string>> normalise_picture_overrides(
    const std::vector<std::string>& set) {
  std::vector<std::string> names{"threads", "precision", "executor", "device", "picture_side"};
  names.insert(names.end(), kPartSettings.begin(), kPartSettings.end());
  return sorted_settings(set, [&](std::string_view name, std::string_view value) -> base::Status {
    if (std::ranges::contains(names, name)) return check_value(name, value);
    return fail(ErrorCode::invalid_argument, std::format("picture models have no setting '{}'{}",
                                                         name, base::did_you_mean(name, names)));
  });
}

base::Result<LaunchSettings> derive_picture_settings(const catalog::ModelRecord& model,
                                                     const LaunchRoom& room,
                                                     const protocol::ImagesConfig& config,
                                                     const std::vector<std::string>& set) {
  TRY_ASSIGN(const auto overrides, normalise_picture_overrides(set));
  if (room.falls > 0)
    return fail({ErrorCode::out_of_memory,
                 std::format("'{}' ran out of memory while it was loaded, though it should fit",
                             model.info.id),
                 {"more free memory: close other applications"}});
  TRY_ASSIGN(const auto whole, with_parts(model, overrides));
  TRY_ASSIGN(auto out, PictureWording(whole, room, config, overrides).run());
  std::ranges::move(part_settings(whole, overrides), std::back_inserter(out.explained));
  return out;
}

std::vector<std::string> picture_side_for(const catalog::ModelRecord& model, std::int64_t width,
                                          std::int64_t height) {
  const auto own = own_side(model);
  if (width * height <= own * own) return {};
  for (const auto side : kSides)
    if (width * height <= side * side) return {std::format("picture_side={}", side)};
  return {std::format("picture_side={}", kSideMax)};
}

std::vector<std::string> diffusion_arguments(const LaunchSettings& settings,
                                             const protocol::ModelInfo& model,
                                             const std::filesystem::path& socket) {
  std::vector<std::string> out{"--socket", socket.native(), "--model", path_of(model)};
  for (const auto& setting : settings.explained)
    if (setting.name == "threads" || setting.name == "precision" || setting.name == "executor")
      out.insert(out.end(), {"--" + setting.name, setting.value});
  std::ranges::move(part_arguments(settings), std::back_inserter(out));
  if (!settings.engine_device.empty()) out.insert(out.end(), {"--device", settings.engine_device});
  return out;
}

}  // namespace ingle::engines
