// What `ingle image` asks for. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"
#include "cli/arguments.h"
#include "protocol/images.h"

namespace ingle::cli {

// By the extension of a file's name (png, jpg, jpeg, webp; letters count without case); nothing:
// it has none. Errors: invalid_argument (another one).
base::Result<std::optional<protocol::ImageFormat>> format_of_name(std::string_view name);

// The arguments as a request: each that was given, over `like`. Errors: invalid_argument.
base::Result<protocol::ImageRequest> picture_request(const ImageArguments& arguments,
                                                     protocol::ImageRequest like);

}  // namespace ingle::cli
