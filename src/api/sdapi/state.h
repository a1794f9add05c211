// What A1111's verbs remember between two requests: the model that the options name, and the job
// that is drawing for them. Loop thread.
#pragma once

#include <optional>
#include <string>

namespace ingle::api::sdapi {

class State {
 public:
  const std::string& model() const { return model_; }
  void set_model(std::string id) { model_ = std::move(id); }

  // The job that was started last and has not ended.
  const std::optional<std::string>& job() const { return job_; }
  void began(std::string job) { job_ = std::move(job); }
  // Forgets this job, if it is still the last one.
  void ended(const std::string& job);

 private:
  std::string model_;  // empty: nobody chose
  std::optional<std::string> job_;
};

}  // namespace ingle::api::sdapi
