#include "resources/footprint.h"

namespace ingle::resources {

std::uint64_t Footprint::on(std::size_t device) const {
  std::uint64_t out = 0;
  for (const auto& piece : pieces)
    if (piece.device == device) out += piece.bytes;
  return out;
}

std::uint64_t Footprint::total() const {
  std::uint64_t out = 0;
  for (const auto& piece : pieces) out += piece.bytes;
  return out;
}

Footprint Footprint::scaled_to(const std::vector<std::uint64_t>& bytes) const {
  Footprint out = *this;
  for (std::size_t device = 0; device < bytes.size(); ++device) {
    const std::uint64_t before = on(device);
    if (before == 0) {
      if (bytes[device] != 0)
        out.pieces.push_back({device, protocol::MemoryKind::other, bytes[device]});
      continue;
    }
    std::uint64_t left = bytes[device];
    Piece* last = nullptr;
    for (auto& piece : out.pieces) {
      if (piece.device != device) continue;
      const double share = static_cast<double>(piece.bytes) / static_cast<double>(before);
      piece.bytes = static_cast<std::uint64_t>(share * static_cast<double>(bytes[device]));
      piece.bytes = piece.bytes < left ? piece.bytes : left;
      left -= piece.bytes;
      last = &piece;
    }
    last->bytes += left;  // what rounding left
  }
  return out;
}

}  // namespace ingle::resources
