#include "weights/gguf_out.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <format>

#include "base/check.h"
#include "gguf/reader.h"
#include "weights/convert_numbers.h"

namespace ingle::weights {
namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kQuantizationVersion = 2;

class Bytes {
 public:
  template <class T>
  Bytes& put(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& text(std::string_view value) {
    put(std::uint64_t{value.size()});
    out_ += value;
    return *this;
  }
  Bytes& key(std::string_view name, gguf::ValueType type) {
    return text(name).put(static_cast<std::uint32_t>(type));
  }
  void align() { out_.resize((out_.size() + kAlignment - 1) / kAlignment * kAlignment); }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(out_)); }

 private:
  std::string out_;
};

bool folded(const GgufTensor& tensor) { return tensor.shape.rank() > gguf::kDimensionsMax; }

// ggml's order; a scalar is one row of one number.
std::vector<std::uint64_t> dimensions_of(const GgufTensor& tensor) {
  std::vector<std::uint64_t> out;
  for (const auto size : tensor.shape) out.insert(out.begin(), static_cast<std::uint64_t>(size));
  while (out.size() > gguf::kDimensionsMax) {
    const auto outermost = out.back();
    out.pop_back();
    out.back() *= outermost;
  }
  if (out.empty()) out.push_back(1);
  return out;
}

Bytes header_of(const std::vector<std::pair<std::string, std::string>>& texts,
                const std::vector<GgufTensor>& tensors) {
  Bytes out;
  const auto unfolded = static_cast<std::uint64_t>(std::ranges::count_if(tensors, folded));
  for (const char c : {'G', 'G', 'U', 'F'}) out.put(c);
  out.put(kVersion).put(std::uint64_t{tensors.size()}).put(texts.size() + unfolded + 1);
  out.key("general.quantization_version", gguf::ValueType::u32).put(kQuantizationVersion);
  for (const auto& [name, value] : texts) out.key(name, gguf::ValueType::string).text(value);
  for (const auto& tensor : tensors) {
    if (!folded(tensor)) continue;
    out.key("comfy.gguf.orig_shape." + tensor.name, gguf::ValueType::array)
        .put(static_cast<std::uint32_t>(gguf::ValueType::u64))
        .put(std::uint64_t{tensor.shape.rank()});
    for (const auto size : tensor.shape) out.put(static_cast<std::uint64_t>(size));
  }
  std::uint64_t offset = 0;
  for (const auto& tensor : tensors) {
    const auto dimensions = dimensions_of(tensor);
    out.text(tensor.name).put(static_cast<std::uint32_t>(dimensions.size()));
    for (const auto dimension : dimensions) out.put(dimension);
    out.put(tensor.type).put(offset);
    offset += (tensor.size_bytes() + kAlignment - 1) / kAlignment * kAlignment;
  }
  out.align();
  return out;
}

}  // namespace

std::uint64_t GgufTensor::size_bytes() const {
  const auto number = number_type(type);
  CHECK(number.has_value(), "a type that exists");
  return static_cast<std::uint64_t>(shape.elements()) / number->block_elements *
         number->block_bytes;
}

base::Result<std::unique_ptr<GgufOut>> GgufOut::create(
    const std::filesystem::path& path,
    const std::vector<std::pair<std::string, std::string>>& texts,
    const std::vector<GgufTensor>& tensors) {
  std::filesystem::path temporary = path;
  temporary += std::format(".{}.part", ::getpid());
  platform::Descriptor file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!file.valid())
    return base::fail(base::errno_error(errno, std::format("cannot write {}", temporary.native())));
  std::unique_ptr<GgufOut> out(new GgufOut(path, std::move(temporary), std::move(file)));
  TRY(out->write(header_of(texts, tensors).bytes()));
  return out;
}

GgufOut::~GgufOut() {
  if (!finished_) ::unlink(temporary_.c_str());
}

base::Error GgufOut::failed(int error, const char* what) const {
  return base::errno_error(error, std::format("cannot {} {}", what, temporary_.native()));
}

base::Status GgufOut::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail(failed(errno, "write"));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    written_bytes_ += static_cast<std::uint64_t>(count);
  }
  return {};
}

base::Status GgufOut::pad() {
  static constexpr std::byte kZeros[kAlignment]{};
  return write(std::span(kZeros).first((kAlignment - written_bytes_ % kAlignment) % kAlignment));
}

base::Status GgufOut::finish() {
  if (::fsync(file_.get()) != 0) return base::fail(failed(errno, "sync"));
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0)
    return base::fail(failed(errno, "rename"));
  finished_ = true;
  const platform::Descriptor folder(
      ::open(path_.has_parent_path() ? path_.parent_path().c_str() : ".", O_RDONLY | O_CLOEXEC));
  if (folder.valid()) ::fsync(folder.get());  // the rename outlives a power cut where this works
  return {};
}

}  // namespace ingle::weights
