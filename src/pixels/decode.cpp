#include "pixels/decode.h"

#include <jpeglib.h>
#include <png.h>
#include <setjmp.h>
#include <webp/decode.h>

#include <algorithm>
#include <cstring>
#include <format>
#include <optional>
#include <utility>

#include "pixels/format.h"

namespace ingle::pixels {
namespace {

using base::ErrorCode;
using base::fail;

base::Status check_sides(std::int64_t width, std::int64_t height) {
  if (width >= 1 && height >= 1 && width <= kDecodedSideMax && height <= kDecodedSideMax) return {};
  return fail(ErrorCode::limit_exceeded,
              std::format("the given picture has {} by {} pixels; each side may have 1 to {}",
                          width, height, kDecodedSideMax));
}

std::unexpected<base::Error> broken(std::string_view format, std::string_view why) {
  return fail(ErrorCode::malformed,
              std::format("the given picture is no whole {} file: {}", format, why));
}

Picture empty_picture(std::int64_t width, std::int64_t height, Colours colours) {
  Picture out{.width = width, .height = height, .channels = colours == Colours::rgb ? 3 : 1};
  out.data.resize(static_cast<std::size_t>(width * height * out.channels));
  return out;
}

// Rec. 601, as JPEG has it.
Picture to_grey(const Picture& from) {
  Picture out = empty_picture(from.width, from.height, Colours::grey);
  for (std::size_t i = 0; i < out.data.size(); ++i) {
    const auto* pixel = &from.data[3 * i];
    out.data[i] =
        static_cast<std::uint8_t>((299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2] + 500) / 1000);
  }
  return out;
}

// A mask with transparency says by it what is painted anew, as OpenAI's clients send it; nothing:
// it has none.
std::optional<Picture> mask_of_alpha(const Picture& grey_alpha) {
  Picture out = empty_picture(grey_alpha.width, grey_alpha.height, Colours::grey);
  bool transparent = false;
  for (std::size_t i = 0; i < out.data.size(); ++i) {
    out.data[i] = static_cast<std::uint8_t>(255 - grey_alpha.data[2 * i + 1]);
    transparent = transparent || out.data[i] != 0;
  }
  if (!transparent) return std::nullopt;
  return out;
}

// The grey and alpha of a PNG that has alpha; an error is a file that is not whole.
base::Result<Picture> read_grey_alpha(png_image& image) {
  image.format = PNG_FORMAT_GA;
  Picture out{.width = image.width, .height = image.height, .channels = 2};
  out.data.resize(static_cast<std::size_t>(out.width * out.height * 2));
  if (png_image_finish_read(&image, nullptr, out.data.data(), 0, nullptr) != 0) return out;
  auto error = broken("PNG", image.message);
  png_image_free(&image);
  return error;
}

base::Result<Picture> decode_png(std::string_view bytes, Colours colours) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0)
    return broken("PNG", image.message);
  if (auto sides = check_sides(image.width, image.height); !sides) {
    png_image_free(&image);
    return fail(std::move(sides).error());
  }
  if (colours == Colours::grey && (image.format & PNG_FORMAT_FLAG_ALPHA) != 0) {
    TRY_ASSIGN(const auto both, read_grey_alpha(image));
    if (auto mask = mask_of_alpha(both)) return *std::move(mask);
    Picture out = empty_picture(both.width, both.height, Colours::grey);
    for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] = both.data[2 * i];
    return out;
  }
  image.format = colours == Colours::rgb ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  Picture out = empty_picture(image.width, image.height, colours);
  const png_color black{};
  if (png_image_finish_read(&image, &black, out.data.data(), 0, nullptr) == 0) {
    auto error = broken("PNG", image.message);
    png_image_free(&image);
    return error;
  }
  return out;
}

constexpr int kScansMax = 100;  // of a JPEG; usual ones have up to ten

// libjpeg leaves by a jump: nothing with a destructor may be made between setjmp and it.
struct JpegReader {
  jpeg_decompress_struct state{};
  jpeg_error_mgr errors{};
  jmp_buf out;
  jpeg_progress_mgr watch{};
  char message[JMSG_LENGTH_MAX] = {};

  // Each scan is a walk over the whole picture, and a small file can hold a million of them.
  static void count_scans(j_common_ptr common) {
    if (reinterpret_cast<j_decompress_ptr>(common)->input_scan_number <= kScansMax) return;
    auto& self = *static_cast<JpegReader*>(common->client_data);
    constexpr std::string_view kWords = "it has too many scans";
    kWords.copy(self.message, kWords.size());
    longjmp(self.out, 1);
  }
  static void leave(j_common_ptr common) {
    auto& self = *static_cast<JpegReader*>(common->client_data);
    common->err->format_message(common, self.message);
    longjmp(self.out, 1);
  }
  static void say_nothing(j_common_ptr) {}

  bool begin(std::string_view bytes, Colours colours) {
    state.err = jpeg_std_error(&errors);
    errors.error_exit = leave;
    errors.output_message = say_nothing;
    state.client_data = this;
    if (setjmp(out) != 0) return false;
    jpeg_create_decompress(&state);
    state.client_data = this;
    jpeg_mem_src(&state, reinterpret_cast<const unsigned char*>(bytes.data()),
                 static_cast<unsigned long>(bytes.size()));
    jpeg_read_header(&state, TRUE);
    state.out_color_space = colours == Colours::rgb ? JCS_RGB : JCS_GRAYSCALE;
    return true;
  }
  bool read(std::uint8_t* into, std::size_t row_bytes) {
    if (setjmp(out) != 0) return false;
    watch.progress_monitor = count_scans;
    state.progress = &watch;
    jpeg_start_decompress(&state);
    while (state.output_scanline < state.output_height) {
      JSAMPROW row = into + state.output_scanline * row_bytes;
      jpeg_read_scanlines(&state, &row, 1);
    }
    jpeg_finish_decompress(&state);
    return true;
  }
};

base::Result<Picture> decode_jpeg(std::string_view bytes, Colours colours) {
  JpegReader reader;
  const auto end = [&reader] { jpeg_destroy_decompress(&reader.state); };
  if (!reader.begin(bytes, colours)) {
    end();
    return broken("JPEG", reader.message);
  }
  if (auto sides = check_sides(reader.state.image_width, reader.state.image_height); !sides) {
    end();
    return fail(std::move(sides).error());
  }
  Picture out = empty_picture(reader.state.image_width, reader.state.image_height, colours);
  const bool whole =
      reader.read(out.data.data(), static_cast<std::size_t>(out.width * out.channels));
  end();
  if (!whole) return broken("JPEG", reader.message);
  return out;
}

base::Result<Picture> decode_webp(std::string_view bytes, Colours colours) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  int width = 0;
  int height = 0;
  if (WebPGetInfo(data, bytes.size(), &width, &height) == 0)
    return broken("WebP", "its head is damaged");
  TRY(check_sides(width, height));
  Picture out = empty_picture(width, height, Colours::rgb);
  if (WebPDecodeRGBInto(data, bytes.size(), out.data.data(), out.data.size(), 3 * width) == nullptr)
    return broken("WebP", "its pixels are damaged, or it moves");
  return colours == Colours::rgb ? std::move(out) : to_grey(out);
}

}  // namespace

base::Result<Picture> decode(std::string_view bytes, Colours colours) {
  TRY_ASSIGN(const auto format, format_of(bytes));
  switch (format) {
    case Format::png:
      return decode_png(bytes, colours);
    case Format::jpeg:
      return decode_jpeg(bytes, colours);
    case Format::webp:
      return decode_webp(bytes, colours);
  }
  std::unreachable();
}

}  // namespace ingle::pixels
