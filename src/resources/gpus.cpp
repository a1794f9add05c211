#include "resources/gpus.h"

#include <algorithm>
#include <array>
#include <format>

namespace ingle::resources {
namespace {

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

// An engine leaves out what the driver keeps for itself.
bool about_equal(std::uint64_t a, std::uint64_t b) { return distance(a, b) <= std::max(a, b) / 10; }

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// Empty when it cannot be told.
std::string vendor_of(const EngineDevice& device) {
  struct Mark {
    const char *text, *vendor;
  };
  constexpr std::array kBackends{Mark{"CUDA", "nvidia"}, Mark{"ROCm", "amd"}, Mark{"HIP", "amd"},
                                 Mark{"SYCL", "intel"}};
  for (const auto& [text, vendor] : kBackends)
    if (device.name.starts_with(text)) return vendor;
  constexpr std::array kNames{Mark{"nvidia", "nvidia"}, Mark{"geforce", "nvidia"},
                              Mark{"radeon", "amd"}, Mark{"amd", "amd"}, Mark{"intel", "intel"}};
  const auto description = lower_case(device.description);
  for (const auto& [text, vendor] : kNames)
    if (description.contains(text)) return vendor;
  return {};
}

}  // namespace

void Gpus::take(const ProbeReport& report) {
  probed_ = true;
  probe_notes_ = report.notes;
  vendors_probed_.clear();
  for (auto& card : cards_) card.gone = !card.probe_id.empty();
  for (const auto& gpu : report.gpus) {
    vendors_probed_.push_back(gpu.vendor);
    if (gpu.integrated) continue;
    auto* card = find_probed(gpu);
    if (card == nullptr) card = add(gpu.vendor, gpu.name);
    if (card == nullptr) return;
    card->probe_id = gpu.id;
    card->gone = false;
    card->processes = gpu.processes;
    card->has_total = gpu.total_bytes.has_value();
    card->has_free = gpu.free_bytes.has_value();
    if (card->has_total) card->reading.total_bytes = *gpu.total_bytes;
    if (card->has_free) card->reading.free_bytes = *gpu.free_bytes;
  }
}

Gpus::Card* Gpus::find_probed(const ProbedGpu& gpu) {
  for (auto& card : cards_)
    if (card.probe_id == gpu.id) return &card;
  // One that so far only the engine knew, while the probe did not answer.
  for (auto& card : cards_)
    if (card.probe_id.empty() && card.vendor == gpu.vendor &&
        about_equal(card.reading.total_bytes, gpu.total_bytes.value_or(card.reading.total_bytes)))
      return &card;
  return nullptr;
}

void Gpus::take(std::span<const EngineDevice> listed) {
  engine_notes_.clear();
  for (auto& card : cards_)
    if (card.probe_id.empty()) card.gone = true;
  for (const auto& device : listed) {
    const auto vendor = vendor_of(device);
    auto* card = find_listed(device, vendor);
    if (card == nullptr) {
      if (is_second_name(device, vendor)) continue;
      // Which of the others are cards of their own only the probe can tell.
      if (!probed_ && vendor != "nvidia") continue;
      if (shares_host_memory(vendor)) {
        engine_notes_.push_back(
            std::format("{} ({}) is left out: it draws on the memory of the host", device.name,
                        device.description));
        continue;
      }
      card = add(vendor, device.description);
      if (card == nullptr) return;
    }
    card->reading.engine_name = device.name;
    if (card->probe_id.empty()) card->gone = false;
    if (!card->has_total) card->reading.total_bytes = device.total_bytes;
    if (!card->has_free) card->reading.free_bytes = device.free_bytes;
  }
}

Gpus::Card* Gpus::find_listed(const EngineDevice& device, std::string_view vendor) {
  for (auto& card : cards_)
    if (card.reading.engine_name == device.name) return &card;
  Card* best = nullptr;
  const auto rank = [&](const Card& card) {
    return std::pair(card.reading.name != device.description,
                     card.has_total ? distance(card.reading.total_bytes, device.total_bytes) : 0);
  };
  for (auto& card : cards_) {
    if (!card.reading.engine_name.empty() || card.vendor != vendor) continue;
    if (card.has_total && !about_equal(card.reading.total_bytes, device.total_bytes)) continue;
    if (best == nullptr || rank(card) < rank(*best)) best = &card;
  }
  return best;
}

// An engine with two libraries (CUDA and Vulkan) lists each card twice.
bool Gpus::is_second_name(const EngineDevice& device, std::string_view vendor) const {
  return std::ranges::any_of(cards_, [&](const Card& card) {
    return card.vendor == vendor && !card.vendor.empty() &&
           about_equal(card.reading.total_bytes, device.total_bytes);
  });
}

bool Gpus::shares_host_memory(std::string_view vendor) const {
  return vendor != "nvidia" && std::ranges::contains(vendors_probed_, vendor);
}

Gpus::Card* Gpus::add(std::string_view vendor, std::string_view name) {
  if (cards_.size() == kGpusMax) return nullptr;
  auto& card = cards_.emplace_back();
  card.vendor = vendor;
  card.reading = {.id = std::format("gpu{}", cards_.size() - 1),
                  .name = std::string(name),
                  .kind = protocol::DeviceKind::gpu};
  return &card;
}

std::vector<DeviceReading> Gpus::devices() const {
  std::vector<DeviceReading> out;
  for (const auto& card : cards_) {
    out.push_back(card.reading);
    auto& reading = out.back();
    reading.free_bytes = card.gone ? 0 : std::min(reading.free_bytes, reading.total_bytes);
  }
  return out;
}

std::vector<DeviceProcess> Gpus::processes() const {
  std::vector<DeviceProcess> out;
  for (std::size_t i = 0; i < cards_.size(); ++i)
    for (const auto& process : cards_[i].processes)
      if (!cards_[i].gone) out.push_back({i + 1, process.pid, process.bytes});
  return out;
}

std::vector<std::string> Gpus::notes() const {
  auto out = probe_notes_;
  out.insert(out.end(), engine_notes_.begin(), engine_notes_.end());
  for (const auto& card : cards_)
    if (card.gone)
      out.push_back(std::format("{} ({}) is gone", card.reading.id, card.reading.name));
  return out;
}

bool Gpus::needs_engine() const {
  return std::ranges::any_of(cards_, [](const Card& card) { return !card.has_free; });
}

}  // namespace ingle::resources
