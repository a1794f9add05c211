// Requests as A1111's clients send them, into ours. Pure. Members that are not known are passed
// over, as there: clients send many that mean nothing here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/jobs.h"
#include "protocol/json.h"

namespace ingle::api::sdapi {

struct Sampler {
  std::string_view name;        // as A1111 calls it
  std::string_view own;         // as we do
  std::string_view schedule{};  // that goes with the name
};
// Static storage.
std::span<const Sampler> samplers();

struct SdRequest {
  protocol::ImageRequest request{};
  std::string image_base64{};  // of img2img
  std::string mask_base64{};
  bool send_images = true;
};

enum class Verb { txt2img, img2img };
// Errors: invalid_argument (a member of another type or out of its range), unsupported (several
// init_images).
base::Result<SdRequest> read_request(const protocol::Json& body, Verb verb);

}  // namespace ingle::api::sdapi
