#include "engines/picture_settings.h"

#include <algorithm>
#include <array>
#include <format>

#include "base/bytes.h"
#include "base/near_names.h"
#include "engines/given_settings.h"
#include "engines/picture_parts.h"
#include "engines/picture_placement.h"
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
  if (name == "weights")
    return value == "auto" || value == "packed" || value == "stored"
               ? base::Status{}
               : refuse("auto, packed or stored");
  if (name == "residency")
    return value == "auto" || value == "resident" || value == "staged"
               ? base::Status{}
               : refuse("auto, resident or staged");
  return is_device(value) ? base::Status{} : refuse("auto, host, or a GPU such as gpu0");
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
    PictureNeeds needs{model_, precision, side};
    TRY_ASSIGN(const auto places, choose(needs));
    out_.reserved = picture_footprint(needs, places);
    // On the host, room for drawing is held from the start though it is taken with the first
    // picture: else somebody would be let in meanwhile.
    out_.footprint = picture_loaded(out_.reserved, places);
    out_.use.cache_ram_bytes = out_.reserved.on(kHost) - out_.footprint.on(kHost);
    out_.reasons.push_back(reason_);
    out_.reasons.push_back(std::format("it takes {}, of which {} are for drawing {} by {} pixels",
                                       format_bytes(out_.reserved.total()),
                                       format_bytes(compute_bytes()), side, side));
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
    std::uint64_t out = 0;
    for (const auto& piece : out_.reserved.pieces)
      if (piece.kind == MemoryKind::compute) out += piece.bytes;
    return out;
  }
  const std::string& id_of(std::size_t device) const {
    static const std::string host = "host";
    return room_.devices.empty() ? host : room_.devices[device].id;
  }

  // The device that a setting names; nothing for auto.
  base::Result<std::optional<std::size_t>> named(std::string_view setting) const {
    const auto wanted = given_.text_or(setting, "auto");
    if (wanted == "auto") return std::nullopt;
    if (wanted == "host") return kHost;
    for (std::size_t i = 1; i < room_.devices.size(); ++i)
      if (room_.devices[i].id == wanted) return i;
    return fail(ErrorCode::invalid_argument,
                std::format("{}={}: there is no such GPU here (`ingle system` lists them)", setting,
                            wanted));
  }

  base::Result<PicturePlaces> choose(PictureNeeds& needs) {
    const auto executor = given_.text_or("executor", config_.executor);
    PictureWish wish{.gpus = executor != "onednn"};
    TRY_ASSIGN(wish.denoiser, named("device"));
    TRY_ASSIGN(wish.text, named("text_device"));
    TRY_ASSIGN(wish.vae, named("vae_device"));
    if (executor == "onednn" && wish.denoiser.value_or(kHost) != kHost)
      return fail(
          ErrorCode::invalid_argument,
          "executor=onednn draws on the processor: leave out device, or give executor=ggml");
    const auto residency = given_.text_or("residency", "auto");
    if (residency == "resident") wish.residency = PartResidency::resident;
    if (residency == "staged") wish.residency = PartResidency::staged;
    if (executor == "ggml" && given_.text_or("weights", "auto") == "stored")
      return fail(ErrorCode::invalid_argument,
                  "weights=stored is for the processor by oneDNN: leave out executor=ggml");
    const auto places = choose_held(needs, wish, executor);
    TRY(check_room(picture_footprint(needs, places), needs));
    explain_places(needs, places, wish, executor);
    return places;
  }

  // Weights stay as their file has them where that was asked for, or where only so all parts stay
  // in memory, or fit at all.
  PicturePlaces choose_held(PictureNeeds& needs, const PictureWish& wish,
                            const std::string& executor) {
    const auto asked = given_.text_or("weights", "auto");
    if (asked == "stored") needs.weights = WeightsHeld::stored;
    const auto places = choose_places(needs, wish, room_);
    if (asked != "auto") {
      explain("weights", asked, "request", "");
      return places;
    }
    const auto takes = picture_footprint(needs, places);
    const bool turns = places.residency == PartResidency::staged && !wish.residency;
    if (executor == "ggml" || !places.on_host() || (fits(takes, room_) && !turns) ||
        !gains_stored(model_.picture, needs.precision))
      return places;
    PictureNeeds stored = needs;
    stored.weights = WeightsHeld::stored;
    const auto others = choose_places(stored, wish, room_);
    const auto takes_stored = picture_footprint(stored, others);
    if (!fits(takes_stored, room_) ||
        (fits(takes, room_) && others.residency == PartResidency::staged))
      return places;
    auto same = places;
    same.residency = others.residency;
    const auto packed = picture_footprint(needs, same);
    needs.weights = WeightsHeld::stored;
    const auto reason = std::format(
        "unpacked to {} it would need {} and would get {}: its weights stay as the file has them, "
        "which needs {}",
        needs.precision, format_bytes(packed.on(kHost)), format_bytes(room_.devices[kHost].bytes),
        format_bytes(takes_stored.on(kHost)));
    out_.reasons.push_back(reason);
    explain("weights", "stored", "derived", reason);
    return others;
  }

  void explain_places(const PictureNeeds& needs, const PicturePlaces& places,
                      const PictureWish& wish, const std::string& executor) {
    const bool card = places.denoiser != kHost;
    out_.device = id_of(places.denoiser);
    if (card) out_.engine_device = room_.devices[places.denoiser].engine_name;
    reason_ = wish.denoiser && card         ? out_.device + " was asked for"
              : wish.denoiser || !wish.gpus ? std::string("the processor was asked for")
              : card                        ? out_.device + " holds it"
                     : std::string("there is no GPU that holds it: it draws on the processor");
    explain("executor", card || executor == "ggml" ? "ggml" : "onednn",
            executor == "auto" ? "derived" : "config", reason_);
    explain("device", out_.device, "derived", reason_);
    out_.placement = card ? "all of it on " + out_.device : "processor";
    for (const auto& [setting, device, words] :
         {std::tuple("text_device", places.text, "the text encoders"),
          std::tuple("vae_device", places.vae, "the VAE")}) {
      if (device == places.denoiser) continue;
      if (card) out_.placement = out_.device;
      out_.placement += std::format(", {} on {}", words, id_of(device));
      explain(setting, id_of(device), "derived",
              std::format("{} does not hold all parts", out_.device));
      auto& engine =
          words == std::string_view("the VAE") ? out_.vae_engine_device : out_.text_engine_device;
      engine = device == kHost ? "host" : room_.devices[device].engine_name;
    }
    explain_residency(needs, places);
  }

  void explain_residency(const PictureNeeds& needs, const PicturePlaces& places) {
    if (places.residency == PartResidency::resident) {
      explain("residency", "resident", "derived", "all parts fit at once");
      return;
    }
    auto all = places;
    all.residency = PartResidency::resident;
    const auto together = picture_footprint(needs, all), turns = picture_footprint(needs, places);
    auto reason = std::format(
        "all parts together need {} and would get {} on {}: text encoders, transformer and VAE "
        "take turns, for which the largest needs {}",
        format_bytes(together.on(places.denoiser)),
        format_bytes(room_.devices.empty() ? 0 : room_.devices[places.denoiser].bytes), out_.device,
        format_bytes(turns.on(places.denoiser)));
    if (given_.find("residency") == nullptr) out_.reasons.push_back(reason);
    explain("residency", "staged", "derived", reason);
    out_.placement += ", its parts in turns";
  }

  base::Status check_room(const resources::Footprint& footprint, const PictureNeeds& needs) const {
    if (room_.devices.empty() || fits(footprint, room_)) return {};
    base::Error out{
        ErrorCode::out_of_memory,
        std::format("'{}' needs {} to draw {} by {} pixels in {}, and it can get {} on the host",
                    model_.info.id, format_bytes(footprint.total()), needs.side, needs.side,
                    needs.precision, format_bytes(room_.devices[kHost].bytes))};
    std::string would_fit =
        "a smaller model may fit, or more free memory: close other applications";
    for (const auto smaller : {std::int64_t{1024}, std::int64_t{768}, std::int64_t{512}}) {
      const PictureNeeds less{needs.model, needs.precision, smaller, needs.weights};
      const auto places = choose_places(less, {.gpus = false}, room_);
      if (smaller >= needs.side || !fits(picture_footprint(less, places), room_)) continue;
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
  std::vector<std::string> names{"threads",      "precision",   "executor",   "device",   "weights",
                                 "picture_side", "text_device", "vae_device", "residency"};
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
    if (setting.name == "threads" || setting.name == "precision" || setting.name == "executor" ||
        setting.name == "weights")
      out.insert(out.end(), {"--" + setting.name, setting.value});
  std::ranges::move(part_arguments(settings), std::back_inserter(out));
  if (!settings.engine_device.empty()) out.insert(out.end(), {"--device", settings.engine_device});
  if (!settings.text_engine_device.empty())
    out.insert(out.end(), {"--text-device", settings.text_engine_device});
  if (!settings.vae_engine_device.empty())
    out.insert(out.end(), {"--vae-device", settings.vae_engine_device});
  if (std::ranges::any_of(settings.explained, [](const auto& setting) {
        return setting.name == "residency" && setting.value == "staged";
      }))
    out.insert(out.end(), {"--residency", "staged"});
  return out;
}

}  // namespace ingle::engines
