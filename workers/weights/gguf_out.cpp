#include "weights/gguf_out.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <format>

#include "base/bytes.h"
#include "base/check.h"
#include "gguf/reader.h"
#include "weights/convert_numbers.h"

namespace ingle::weights {
namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kQuantizationVersion = 2;

std::uint64_t aligned(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

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
  void align() { out_.resize(aligned(out_.size())); }
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
    offset += aligned(tensor.size_bytes());
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
  const auto hidden =
      path.parent_path() / std::format(".{}.{}.part", path.filename().native(), ::getpid());
  std::unique_ptr<GgufOut> out(new GgufOut(path, hidden));
  const auto header = header_of(texts, tensors);
  out->size_bytes_ = header.bytes().size();
  for (const auto& tensor : tensors) {
    const auto begin = out->size_bytes_;
    out->places_.emplace_back(begin, begin + tensor.size_bytes());
    out->size_bytes_ += aligned(tensor.size_bytes());
  }
  TRY(out->open());
  TRY(out->reserve());
  TRY(out->write_at(0, header.bytes()));
  return out;
}

GgufOut::~GgufOut() {
  if (named_) ::unlink(hidden_.c_str());
}

base::Error GgufOut::failed(int error, const char* what) const {
  return base::errno_error(error, std::format("cannot {} {}", what, path_.native()));
}

// A file without a name is gone with this process. Not every file system can make one.
base::Status GgufOut::open() {
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  file_.reset(::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (!file_.valid() && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
    file_.reset(::open(hidden_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    named_ = file_.valid();
  }
  if (!file_.valid()) return base::fail(failed(errno, "write"));
  return {};
}

base::Status GgufOut::reserve() const {
  struct statvfs room{};
  if (::fstatvfs(file_.get(), &room) == 0) {
    const auto free_bytes = static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
    if (free_bytes < size_bytes_)
      return base::fail(
          base::ErrorCode::disk_full,
          std::format("{} takes {}, and its file system has {} free; make room, or write to "
                      "another one",
                      path_.native(), base::format_bytes(size_bytes_),
                      base::format_bytes(free_bytes)));
  }
  // Takes the room, where the file system can: then it cannot run out in the middle.
  if (::fallocate(file_.get(), 0, 0, static_cast<off_t>(size_bytes_)) != 0 &&
      (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
    return base::fail(failed(errno, "take the room for"));
  if (::ftruncate(file_.get(), static_cast<off_t>(size_bytes_)) != 0)
    return base::fail(failed(errno, "size"));
  return {};
}

base::Status GgufOut::write_at(std::uint64_t offset_bytes, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const auto count =
        ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset_bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail(failed(errno, "write"));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset_bytes += static_cast<std::uint64_t>(count);
  }
  return {};
}

base::Status GgufOut::write(std::size_t tensor, std::uint64_t offset_bytes,
                            std::span<const std::byte> bytes) const {
  const auto [begin, end] = places_[tensor];
  CHECK(offset_bytes <= end - begin && bytes.size() <= end - begin - offset_bytes,
        "data inside its tensor");
  TRY(write_at(begin + offset_bytes, bytes));
  // The disk begins at once, so that the sync at the end does not wait for everything.
  ::sync_file_range(file_.get(), static_cast<off_t>(begin + offset_bytes),
                    static_cast<off_t>(bytes.size()), SYNC_FILE_RANGE_WRITE);
  return {};
}

base::Status GgufOut::give_name(Existing existing) {
  const auto own = std::format("/proc/self/fd/{}", file_.get());
  const auto link = [&](const std::filesystem::path& name) {
    return ::linkat(AT_FDCWD, own.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
  };
  const auto conflict = [&] {
    return base::fail(base::ErrorCode::conflict,
                      std::format("{} is there already; --replace writes over it", path_.native()));
  };
  if (!named_ && existing == Existing::keep) {
    if (link(path_)) return {};
    return errno == EEXIST ? conflict() : base::fail(failed(errno, "name"));
  }
  if (!named_) {
    if (!link(hidden_)) return base::fail(failed(errno, "name"));
    named_ = true;
  }
  if (existing == Existing::keep && ::access(path_.c_str(), F_OK) == 0) return conflict();
  if (std::rename(hidden_.c_str(), path_.c_str()) != 0) return base::fail(failed(errno, "name"));
  named_ = false;
  return {};
}

base::Status GgufOut::finish(Existing existing) {
  if (::fchmod(file_.get(), 0644) != 0) return base::fail(failed(errno, "share"));
  if (::fsync(file_.get()) != 0) return base::fail(failed(errno, "sync"));
  TRY(give_name(existing));
  const platform::Descriptor folder(
      ::open(path_.has_parent_path() ? path_.parent_path().c_str() : ".", O_RDONLY | O_CLOEXEC));
  if (folder.valid()) ::fsync(folder.get());  // the name outlives a power cut where this works
  return {};
}

}  // namespace ingle::weights
