// Goal: the metrics page is what a Prometheus scraper reads, whatever the label values hold.
// Method: pages against their exact text.
#include "insight/metrics.h"

#include <gtest/gtest.h>

#include <limits>

namespace ingle::insight {
namespace {

TEST(Metrics, WritesCountersAndGaugesWithLabels) {
  MetricsPage page;
  page.add("ingle_loop_stalls_total", MetricType::counter, "Turns over 10 ms.", 0);
  page.begin("ingle_worker_resident_bytes", MetricType::gauge, "Resident memory.")
      .sample(4294967296.0, {{"model", "tiny"}, {"kind", "text"}})
      .sample(0.5, {{"model", "b"}});
  EXPECT_EQ(page.take(),
            "# HELP ingle_loop_stalls_total Turns over 10 ms.\n"
            "# TYPE ingle_loop_stalls_total counter\n"
            "ingle_loop_stalls_total 0\n"
            "# HELP ingle_worker_resident_bytes Resident memory.\n"
            "# TYPE ingle_worker_resident_bytes gauge\n"
            "ingle_worker_resident_bytes{model=\"tiny\",kind=\"text\"} 4294967296\n"
            "ingle_worker_resident_bytes{model=\"b\"} 0.5\n");
}

TEST(Metrics, EscapesWhatIsUntrusted) {
  MetricsPage page;
  page.add("a", MetricType::gauge, "one\ntwo \\ \"three\"", 1, {{"m", "x\"} 9\nb 1 \\ \xff"}});
  EXPECT_EQ(page.take(),
            "# HELP a one\\ntwo \\\\ \"three\"\n# TYPE a gauge\n"
            "a{m=\"x\\\"} 9\\nb 1 \\\\ \xEF\xBF\xBD\"} 1\n");
}

TEST(Metrics, WritesOddNumbers) {
  MetricsPage page;
  page.begin("a", MetricType::gauge, "Odd.")
      .sample(std::numeric_limits<double>::infinity())
      .sample(-std::numeric_limits<double>::infinity())
      .sample(std::numeric_limits<double>::quiet_NaN())
      .sample(-3)
      .sample(0.1);
  EXPECT_TRUE(page.take().ends_with("a +Inf\na -Inf\na NaN\na -3\na 0.1\n"));
}

TEST(MetricsDeathTest, RefusesNamesThatNobodyCouldRead) {
  MetricsPage page;
  EXPECT_DEATH(page.begin("a b", MetricType::gauge, ""), "letters");
  EXPECT_DEATH(page.begin("a", MetricType::counter, ""), "_total");
  page.begin("a", MetricType::gauge, "");
  EXPECT_DEATH(page.begin("a", MetricType::gauge, ""), "once");
}

}  // namespace
}  // namespace ingle::insight
