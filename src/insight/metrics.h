// A page of metrics in Prometheus' text format, from values handed in. Knows no product words.
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingle::insight {

enum class MetricType { counter, gauge };

using MetricLabels = std::vector<std::pair<std::string_view, std::string_view>>;

// Builds one page; samples of one metric stand together, so begin() it once. One thread.
class MetricsPage {
 public:
  // `name` is of [a-zA-Z0-9_:], unit last, counters end in "_total"; CHECKs the form and that it is
  // new on this page.
  MetricsPage& begin(std::string_view name, MetricType type, std::string_view help);
  // One value of the metric begun last. Label values may be untrusted.
  MetricsPage& sample(double value, const MetricLabels& labels = {});
  // A metric of one value.
  MetricsPage& add(std::string_view name, MetricType type, std::string_view help, double value,
                   const MetricLabels& labels = {}) {
    return begin(name, type, help).sample(value, labels);
  }

  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
  std::vector<std::string> names_;
};

}  // namespace ingle::insight
