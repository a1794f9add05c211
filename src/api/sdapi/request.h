// Requests as A1111's clients send them, into ours. Pure. Members that are not known are passed
// over, as there: clients send many that mean nothing here.
#pragma once

#include <string>

#include "base/error.h"
#include "protocol/jobs.h"
#include "protocol/json.h"

namespace ingle::api::sdapi {

struct SdRequest {
  protocol::ImageRequest request{};
  std::string image_base64{};  // of img2img
  std::string mask_base64{};
  bool send_images = true;
};

enum class Verb { txt2img, img2img };
// Adapters in the prompt (<lora:NAME:WEIGHT>) become the request's. Errors: invalid_argument (a
// member of another type or out of its range), unsupported (several init_images), and those of
// media::take_adapters().
base::Result<SdRequest> read_request(const protocol::Json& body, Verb verb);

}  // namespace ingle::api::sdapi
