#include "api/sdapi/state.h"

namespace ingle::api::sdapi {

void State::ended(const std::string& job) {
  if (job_ == job) job_.reset();
}

}  // namespace ingle::api::sdapi
