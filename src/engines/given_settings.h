// GivenSettings: the values that somebody chose, by name: the request's before those kept for the
// model (calibrated). Pure. Inside engines/ only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engines/launch_settings.h"
#include "engines/placement.h"

namespace ingle::engines {

struct GivenSetting {
  std::string value{};
  bool by_request = true;  // false: kept
};

class GivenSettings {
 public:
  // Entries are name=value, as normalise_overrides leaves them.
  GivenSettings(const std::vector<std::string>& set, const std::vector<std::string>& kept);

  // Nothing: nobody chose it.
  const GivenSetting* find(std::string_view name) const;
  std::optional<std::int64_t> number(std::string_view name) const;
  std::string text_or(std::string_view name, std::string otherwise) const;

 private:
  std::map<std::string, GivenSetting, std::less<>> values_;
};

// What placement is to look for. Errors: invalid_argument (values that contradict each other, the
// model or the machine).
base::Result<PlacementWish> make_wish(const gguf::ModelFacts& facts, protocol::ModelKind kind,
                                      const LaunchRoom& room, const protocol::TextConfig& config,
                                      const GivenSettings& given);

// The context that is wanted when nobody says which: what the model was trained for, capped.
std::int64_t context_derived(const gguf::ModelFacts& facts, const protocol::TextConfig& config);

}  // namespace ingle::engines
