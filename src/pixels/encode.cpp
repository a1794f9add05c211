#include "pixels/encode.h"

#include <jpeglib.h>
#include <png.h>
#include <setjmp.h>
#include <webp/encode.h>

#include <array>
#include <cstdlib>
#include <format>
#include <utility>
#include <vector>

#include "pixels/metadata.h"

namespace ingle::pixels {
namespace {

using base::ErrorCode;
using base::fail;

// Both libraries leave by a jump: what has a destructor lives outside of the functions that they
// jump over.
struct PngWriter {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string* out = nullptr;

  static void append(png_structp png, png_bytep bytes, std::size_t count) {
    static_cast<std::string*>(png_get_io_ptr(png))
        ->append(reinterpret_cast<const char*>(bytes), count);
  }
  static void flush(png_structp) {}
  static void warn(png_structp, png_const_charp) {}

  bool write(const Pixels& pixels, std::vector<png_text>& texts) {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, warn);
    info = png ? png_create_info_struct(png) : nullptr;
    if (info == nullptr || setjmp(png_jmpbuf(png)) != 0) return false;
    png_set_write_fn(png, out, append, flush);
    png_set_IHDR(png, info, pixels.width, pixels.height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    // Level 3 takes a third of the time of 6 for files that are a few percent larger.
    png_set_compression_level(png, 3);
    if (!texts.empty()) png_set_text(png, info, texts.data(), static_cast<int>(texts.size()));
    png_write_info(png, info);
    for (std::uint32_t y = 0; y < pixels.height; ++y)
      png_write_row(png, reinterpret_cast<png_const_bytep>(pixels.data.data()) +
                             std::size_t{3} * pixels.width * y);
    png_write_end(png, info);
    return true;
  }
  void end() { png_destroy_write_struct(&png, &info); }
};

struct JpegWriter {
  jpeg_compress_struct state{};
  jpeg_error_mgr errors{};
  jmp_buf out;
  unsigned char* bytes = nullptr;
  unsigned long size = 0;

  static void leave(j_common_ptr common) {
    longjmp(static_cast<JpegWriter*>(common->client_data)->out, 1);
  }
  static void say_nothing(j_common_ptr) {}

  bool write(const Pixels& pixels, int quality, const std::vector<std::string>& segments) {
    state.err = jpeg_std_error(&errors);
    errors.error_exit = leave;
    errors.output_message = say_nothing;
    state.client_data = this;
    if (setjmp(out) != 0) return false;
    jpeg_create_compress(&state);
    state.client_data = this;
    jpeg_mem_dest(&state, &bytes, &size);
    state.image_width = pixels.width;
    state.image_height = pixels.height;
    state.input_components = 3;
    state.in_color_space = JCS_RGB;
    jpeg_set_defaults(&state);
    jpeg_set_quality(&state, quality, TRUE);
    jpeg_start_compress(&state, TRUE);
    for (const auto& segment : segments)
      jpeg_write_marker(&state, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(segment.data()),
                        static_cast<unsigned>(segment.size()));
    while (state.next_scanline < state.image_height) {
      // The library takes rows it could change, and does not.
      JSAMPROW row = reinterpret_cast<JSAMPROW>(const_cast<char*>(pixels.data.data())) +
                     std::size_t{3} * pixels.width * state.next_scanline;
      jpeg_write_scanlines(&state, &row, 1);
    }
    jpeg_finish_compress(&state);
    return true;
  }
  void end() {
    jpeg_destroy_compress(&state);
    std::free(bytes);
  }
};

std::unexpected<base::Error> refused(std::string_view format) {
  return fail(ErrorCode::internal, std::format("the picture could not be written as {}", format));
}

base::Result<std::string> encode_png(const Pixels& pixels, const Texts& texts) {
  std::string out;
  std::vector<png_text> chunks;
  for (const auto& [keyword, text] :
       {std::pair{"parameters", &texts.parameters}, std::pair{"ingle", &texts.ingle}}) {
    if (text->empty()) continue;
    png_text chunk{};
    chunk.compression = PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(keyword);
    chunk.text = const_cast<char*>(text->c_str());
    chunk.itxt_length = text->size();
    chunks.push_back(chunk);
  }
  PngWriter writer{.out = &out};
  const bool whole = writer.write(pixels, chunks);
  writer.end();
  if (!whole || out.empty()) return refused("PNG");
  return out;
}

base::Result<std::string> encode_jpeg(const Pixels& pixels, int quality, const Texts& texts) {
  constexpr std::size_t kSegmentBytesMax = 65533;
  std::vector<std::string> segments;
  const auto add = [&segments](std::string segment) {
    if (segment.size() <= kSegmentBytesMax) segments.push_back(std::move(segment));
  };
  if (!texts.parameters.empty()) add(std::string("Exif\0\0", 6) + exif_of(texts.parameters));
  if (!texts.ingle.empty())
    add(std::string("http://ns.adobe.com/xap/1.0/\0", 29) + xmp_of(texts.ingle));
  JpegWriter writer;
  const bool whole = writer.write(pixels, quality, segments);
  std::string out;
  if (whole) out.assign(reinterpret_cast<const char*>(writer.bytes), writer.size);
  writer.end();
  if (out.empty()) return refused("JPEG");
  return out;
}

void append_little(std::string& out, std::size_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

void append_chunk(std::string& out, std::string_view kind, std::string_view content) {
  out += kind;
  append_little(out, content.size(), 4);
  out += content;
  if (content.size() % 2 != 0) out += '\0';
}

// A WebP file of pixels alone with what stands around them: the head chunk (VP8X) says so.
std::string with_metadata(std::string_view bare, const Pixels& pixels, const Texts& texts) {
  constexpr char kHasExif = 8, kHasXmp = 4;
  constexpr std::size_t kRiffBytes = 12;
  std::string head(4, '\0');
  head[0] = static_cast<char>((texts.parameters.empty() ? 0 : kHasExif) |
                              (texts.ingle.empty() ? 0 : kHasXmp));
  append_little(head, pixels.width - 1, 3);
  append_little(head, pixels.height - 1, 3);
  std::string chunks;
  append_chunk(chunks, "VP8X", head);
  chunks += bare.substr(kRiffBytes);
  if (!texts.parameters.empty()) append_chunk(chunks, "EXIF", exif_of(texts.parameters));
  if (!texts.ingle.empty()) append_chunk(chunks, "XMP ", xmp_of(texts.ingle));
  std::string out = "RIFF";
  append_little(out, chunks.size() + 4, 4);
  return out + "WEBP" + chunks;
}

base::Result<std::string> encode_webp(const Pixels& pixels, int quality, const Texts& texts) {
  // Of lossless files: higher levels take times as long for files that are a few percent smaller.
  constexpr int kLosslessLevel = 2;
  WebPConfig config;
  WebPPicture picture;
  if (WebPConfigInit(&config) == 0 || WebPPictureInit(&picture) == 0) return refused("WebP");
  config.quality = static_cast<float>(quality);
  if (quality == kQualityMax && WebPConfigLosslessPreset(&config, kLosslessLevel) == 0)
    return refused("WebP");
  picture.use_argb = quality == kQualityMax ? 1 : 0;
  picture.width = static_cast<int>(pixels.width);
  picture.height = static_cast<int>(pixels.height);
  WebPMemoryWriter writer;
  WebPMemoryWriterInit(&writer);
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &writer;
  const bool whole =
      WebPPictureImportRGB(&picture, reinterpret_cast<const std::uint8_t*>(pixels.data.data()),
                           picture.width * 3) != 0 &&
      WebPEncode(&config, &picture) != 0;
  const auto error = picture.error_code;
  WebPPictureFree(&picture);
  const std::string bare(reinterpret_cast<const char*>(writer.mem), whole ? writer.size : 0);
  WebPMemoryWriterClear(&writer);
  if (!whole && error == VP8_ENC_ERROR_OUT_OF_MEMORY)
    return fail(ErrorCode::out_of_memory, "there is no memory to write the picture as WebP");
  if (!whole) return refused("WebP");
  if (texts == Texts{}) return bare;
  return with_metadata(bare, pixels, texts);
}

}  // namespace

base::Result<std::string> encode(Format format, const Pixels& pixels, int quality,
                                 const Texts& texts) {
  check_length(pixels);
  CHECK(quality >= 1 && quality <= kQualityMax, "a picture's quality is out of its range");
  switch (format) {
    case Format::png:
      return encode_png(pixels, texts);
    case Format::jpeg:
      return encode_jpeg(pixels, quality, texts);
    case Format::webp:
      return encode_webp(pixels, quality, texts);
  }
  std::unreachable();
}

}  // namespace ingle::pixels
