// What A1111's verbs remember between two requests: the model that the options name, and the job
// that is drawing for them. Loop thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace ingle::api::sdapi {

class State {
 public:
  const std::string& model() const { return model_; }
  void set_model(std::string id) { model_ = std::move(id); }

  // The job that was started first and has not ended: the one that draws, since one does at a time.
  std::optional<std::string> job() const {
    return jobs_.empty() ? std::nullopt : std::optional(jobs_.front());
  }
  void began(std::string job) { jobs_.push_back(std::move(job)); }
  void ended(const std::string& job) { std::erase(jobs_, job); }

 private:
  std::string model_;              // empty: nobody chose
  std::vector<std::string> jobs_;  // in the order of their starts
};

}  // namespace ingle::api::sdapi
