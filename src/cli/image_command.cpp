// image: draws, follows the job, fetches the pictures.
#include <charconv>
#include <filesystem>
#include <format>

#include "cli/commands.h"
#include "cli/follow_job.h"
#include "cli/interrupt.h"
#include "cli/terminal_picture.h"
#include "insight/escape.h"
#include "platform/files.h"
#include "protocol/images.h"

namespace ingle::cli {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using base::fail;

constexpr std::uint64_t kFileBytesMax = 64ull << 20;

// "512x768", or one number for both.
base::Status take_size(const std::string& text, protocol::ImageRequest& request) {
  const auto at = text.find('x');
  const auto number = [](std::string_view digits) -> std::optional<std::int64_t> {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const std::string_view view = text;
  request.width = number(view.substr(0, at));
  request.height = at == std::string::npos ? request.width : number(view.substr(at + 1));
  if (request.width && request.height) return {};
  return fail(ErrorCode::invalid_argument,
              std::format("--size is '{}'; write it as 512x768, or 512", text));
}

base::Result<protocol::ImageRequest> request_of(const ImageArguments& arguments) {
  protocol::ImageRequest out{.model = arguments.model,
                             .prompt = arguments.prompt,
                             .negative_prompt = arguments.negative,
                             .steps = arguments.steps,
                             .guidance = arguments.guidance,
                             .seed = arguments.seed,
                             .count = arguments.count,
                             .sampler = arguments.sampler,
                             .strength = arguments.strength,
                             .preview_every = 0,
                             .set = arguments.set};
  if (!arguments.size.empty()) TRY(take_size(arguments.size, out));
  return out;
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

// Where picture `index` of `count` goes: the given name, numbered when there are several, or the
// picture's own in the current folder.
fs::path target_of(const ImageArguments& arguments, const std::string& id, std::size_t index,
                   std::size_t count) {
  if (arguments.output.empty()) return id + ".png";
  const fs::path given(arguments.output);
  if (count == 1) return given;
  return given.parent_path() /
         std::format("{}-{}{}", given.stem().native(), index + 1, given.extension().native());
}

base::Status fetch(const DaemonClient& client, const ImageArguments& arguments,
                   const Surroundings& around, const protocol::ImageResult& result) {
  const auto files = platform::create_files();
  const bool to_stdout = arguments.output == "-";
  const auto protocol =
      around.terminal.out ? picture_protocol(around.environment) : PictureProtocol::none;
  for (std::size_t i = 0; i < result.images.size(); ++i) {
    const auto& id = result.images[i];
    TRY_ASSIGN(const auto png, client.get("/api/v1/images/" + query_escape(id) + "/file"));
    if (to_stdout) {
      print_out(png);
      continue;
    }
    const auto path = target_of(arguments, insight::escape_line(id), i, result.images.size());
    TRY(files->write_atomic(path, png, platform::FileMode::readable_by_all));
    print_out(show_png(protocol, png));
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
  const auto request = request_of(arguments);
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
