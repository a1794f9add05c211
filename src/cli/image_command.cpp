// image: draws, follows the job, fetches the pictures.
#include <filesystem>
#include <format>

#include "cli/commands.h"
#include "cli/follow_job.h"
#include "cli/interrupt.h"
#include "cli/picture_request.h"
#include "cli/terminal_picture.h"
#include "insight/escape.h"
#include "pixels/format.h"
#include "platform/files.h"
#include "protocol/images.h"

namespace ingle::cli {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using base::fail;

constexpr std::uint64_t kFileBytesMax = 64ull << 20;

// The settings of the picture file that is to be followed; what has no room in a request is said.
base::Result<protocol::ImageRequest> like(const DaemonClient& client, const std::string& path) {
  if (path.empty()) return protocol::ImageRequest{};
  const auto files = platform::create_files();
  TRY_ASSIGN(auto bytes, files->read(path, kFileBytesMax));
  TRY_ASSIGN(const auto answer, client.post_bytes("/api/v1/images/settings", std::move(bytes)));
  TRY_ASSIGN(auto found, protocol::decode<protocol::FoundSettings>(answer));
  for (const auto& left_out : found.left_out)
    print_err("ingle: not taken over: " + insight::escape_line(left_out) + "\n");
  return std::move(found.request);
}

void append_part(std::string& body, std::string_view boundary, std::string_view name,
                 std::string_view content) {
  body +=
      std::format("--{}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", boundary, name);
  body += content;
  body += "\r\n";
}

base::Result<protocol::JobInfo> start(const DaemonClient& client, const ImageArguments& arguments,
                                      const protocol::ImageRequest& request) {
  if (arguments.image.empty() && arguments.mask.empty())
    return post_as<protocol::JobInfo>(client, "/api/v1/images", request);
  // Bytes of a picture cannot hold it: it is as good as random.
  constexpr std::string_view kBoundary = "ingle-7f1d0c52a9e84b36b6f0d1c8e2a45907";
  const auto files = platform::create_files();
  std::string body;
  append_part(body, kBoundary, "request", protocol::encode(request));
  for (const auto& [name, path] :
       {std::pair{"image", arguments.image}, std::pair{"mask", arguments.mask}}) {
    if (path.empty()) continue;
    TRY_ASSIGN(const auto bytes, files->read(path, kFileBytesMax));
    append_part(body, kBoundary, name, bytes);
  }
  body += std::format("--{}--\r\n", kBoundary);
  TRY_ASSIGN(const auto answer,
             client.post_form("/api/v1/images", std::string(kBoundary), std::move(body)));
  return protocol::decode<protocol::JobInfo>(answer);
}

// By the file's first bytes: what the daemon wrote is one of these.
std::string_view extension_of(std::string_view file) {
  const auto format = pixels::format_of(file);
  if (format && *format == pixels::Format::jpeg) return ".jpg";
  return format && *format == pixels::Format::webp ? ".webp" : ".png";
}

// Where picture `index` of `count` goes: the given name, numbered when there are several, or the
// picture's own in the current folder.
fs::path target_of(const ImageArguments& arguments, const std::string& id, std::string_view file,
                   std::size_t index, std::size_t count) {
  if (arguments.output.empty()) return id + std::string(extension_of(file));
  const fs::path given(arguments.output);
  if (count == 1) return given;
  return given.parent_path() /
         std::format("{}-{}{}", given.stem().native(), index + 1, given.extension().native());
}

PictureProtocol chosen_protocol(const ImageArguments& arguments, const Surroundings& around) {
  if (arguments.output == "-") return PictureProtocol::none;
  if (arguments.show != "auto") return picture_protocol_of(arguments.show);
  if (!around.terminal.out) return PictureProtocol::none;
  return picture_protocol(around.environment, around.terminal.out_colour, terminal_has_sixels);
}

void show(PictureProtocol protocol, std::string_view file, const Surroundings& around) {
  const auto shown =
      show_picture(protocol, file, {terminal_size(), colour_depth(around.environment)});
  if (!shown) print_error(shown.error());
  print_out(shown.value_or(""));
}

base::Status fetch(const DaemonClient& client, const ImageArguments& arguments,
                   const Surroundings& around, const protocol::ImageResult& result) {
  const auto files = platform::create_files();
  const auto protocol = chosen_protocol(arguments, around);
  for (std::size_t i = 0; i < result.images.size(); ++i) {
    const auto& id = result.images[i];
    TRY_ASSIGN(const auto file, client.get("/api/v1/images/" + query_escape(id) + "/file"));
    if (arguments.output == "-") {
      print_out(file);
      continue;
    }
    const auto path = target_of(arguments, insight::escape_line(id), file, i, result.images.size());
    TRY(files->write_atomic(path, file, platform::FileMode::readable_by_all));
    show(protocol, file, around);
    print_out(
        std::format("{} (seed {})\n", path.native(), result.seed + static_cast<std::int64_t>(i)));
  }
  return {};
}

}  // namespace

int draw_image(const ImageArguments& arguments, const Surroundings& around) {
  const auto client = DaemonClient::find(around.environment);
  if (!client) return print_error(client.error());
  if (arguments.output == "-" && around.terminal.out)
    return print_error({ErrorCode::invalid_argument,
                        "-o - writes the picture itself, which a terminal cannot read: give a "
                        "file's name, or send it on with |",
                        {}});
  auto followed_settings = like(*client, arguments.like);
  if (!followed_settings) return print_error(followed_settings.error());
  const auto request = picture_request(arguments, *std::move(followed_settings));
  if (!request) return print_error(request.error());
  const auto job = start(*client, arguments, *request);
  if (!job) return print_error(job.error());
  const auto followed = follow_job(*client, job->id, around.terminal, OnInterrupt::cancel_job);
  if (!followed) return print_error(followed.error());
  const auto& end = followed->job;
  if (end.error)
    return print_error({base::error_code_from_name(end.error->code).value_or(ErrorCode::internal),
                        end.error->message, end.error->context});
  if (end.state != protocol::JobState::completed || !end.image) {
    print_err("ingle: the drawing was cancelled\n");
    return followed->interrupted ? kInterruptedCode : 1;
  }
  if (const auto fetched = fetch(*client, arguments, around, *end.image); !fetched)
    return print_error(fetched.error());
  return 0;
}

}  // namespace ingle::cli
