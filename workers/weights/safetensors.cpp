#include "weights/safetensors.h"

#include <format>
#include <utility>

#include "weights/mapped_weights.h"
#include "weights/safetensors_header.h"

namespace ingle::weights {

base::Result<WeightsFile> open_safetensors_file(const std::filesystem::path& path) {
  TRY_ASSIGN(auto file, platform::MappedFile::open(path));
  auto header = parse_safetensors_header(file.bytes(), file.file_size_bytes());
  if (!header)
    return base::fail(
        std::move(header).error().with_context(std::format("opening {}", path.native())));
  std::map<std::string, MappedTensor, std::less<>> tensors;
  for (auto& tensor : header->tensors)
    tensors.emplace_hint(
        tensors.end(), std::move(tensor.name),
        MappedTensor{{tensor.shape, tensor.type}, tensor.offset_bytes, tensor.size_bytes});
  WeightsFile out;
  for (auto& [key, text] : header->metadata)
    if (text.size() <= kTextBytesMax) out.metadata.emplace(key, std::move(text));
  out.weights = std::make_unique<MappedWeights>(path, std::move(file), std::move(tensors));
  return out;
}

base::Result<std::unique_ptr<NamedWeights>> open_safetensors(const std::filesystem::path& path) {
  TRY_ASSIGN(auto file, open_safetensors_file(path));
  return std::move(file.weights);
}

}  // namespace ingle::weights
