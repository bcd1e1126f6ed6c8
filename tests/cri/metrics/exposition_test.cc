// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/exposition.h"

#include <limits>

#include "cri/metrics/families.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serai::cri {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Show(const prometheus::MetricFamily& family) {
  return Expose({family}, Exposition::kOpenMetrics);
}

TEST(ExpositionTest, ACountersFamilyHasNoSuffix) {
  auto family = CounterFamily("serai_things_total", "Things.");
  AddSample(family, 3, {{"kind", "a"}, {"place", "b"}});
  EXPECT_EQ(Show(family),
            "# TYPE serai_things counter\n"
            "# HELP serai_things Things.\n"
            "serai_things_total{kind=\"a\",place=\"b\"} 3\n"
            "# EOF\n");
  EXPECT_THAT(Expose({family}, Exposition::kText),
              HasSubstr("# TYPE serai_things_total counter\n"));
}

TEST(ExpositionTest, AUnitIsToldByTheName) {
  auto family = GaugeFamily("serai_size_bytes", "Size.");
  AddSample(family, 1.5);
  EXPECT_EQ(Show(family),
            "# TYPE serai_size_bytes gauge\n"
            "# UNIT serai_size_bytes bytes\n"
            "# HELP serai_size_bytes Size.\n"
            "serai_size_bytes 1.5\n"
            "# EOF\n");
}

TEST(ExpositionTest, AHistogramsBoundsAreFloats) {
  auto family = GaugeFamily("serai_time_seconds", "Time.");
  family.type = prometheus::MetricType::Histogram;
  prometheus::ClientMetric metric;
  metric.label.push_back({"method", "Status"});
  metric.histogram.sample_count = 3;
  metric.histogram.sample_sum = 2.25;
  metric.histogram.bucket = {
      {1, 0.25}, {2, 1}, {3, std::numeric_limits<double>::infinity()}};
  family.metric.push_back(metric);
  EXPECT_EQ(Show(family),
            "# TYPE serai_time_seconds histogram\n"
            "# UNIT serai_time_seconds seconds\n"
            "# HELP serai_time_seconds Time.\n"
            "serai_time_seconds_bucket{method=\"Status\",le=\"0.25\"} 1\n"
            "serai_time_seconds_bucket{method=\"Status\",le=\"1.0\"} 2\n"
            "serai_time_seconds_bucket{method=\"Status\",le=\"+Inf\"} 3\n"
            "serai_time_seconds_count{method=\"Status\"} 3\n"
            "serai_time_seconds_sum{method=\"Status\"} 2.25\n"
            "# EOF\n");
}

// A guest's author names the pod.
TEST(ExpositionTest, WhatALabelHoldsCannotBreakTheFormat) {
  auto family = GaugeFamily("serai_x", "X.");
  AddSample(family, 1, {{"pod", "a\"} 9\nserai_y{b=\"\\"}});
  const std::string text = Show(family);
  EXPECT_THAT(text,
              HasSubstr("serai_x{pod=\"a\\\"} 9\\nserai_y{b=\\\"\\\\\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("\nserai_y")));
}

TEST(ExpositionTest, LargeCountsLoseNoDigit) {
  auto family = CounterFamily("serai_bytes_total", "Bytes.");
  AddSample(family, 123456789012345);
  EXPECT_THAT(Show(family), HasSubstr("serai_bytes_total 123456789012345\n"));
}

TEST(ExpositionTest, OpenMetricsEndsWithItsMark) {
  EXPECT_THAT(Expose({}, Exposition::kOpenMetrics), EndsWith("# EOF\n"));
  EXPECT_THAT(Expose({}, Exposition::kText), Not(HasSubstr("EOF")));
}

TEST(ExpositionTest, TheClientChoosesTheFormat) {
  for (const char* text :
       {"", "*/*", "text/plain", "text/html", "application/json",
        "application/openmetrics-text;q=0.2,text/plain;q=0.5",
        "application/openmetrics-text;version=7.0.0",
        "application/openmetrics-text;q=much", ";;;,,,==", "q=1"}) {
    EXPECT_EQ(ChooseExposition(text), Exposition::kText) << text;
  }
  for (const char* open_metrics :
       {"application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        // As Prometheus 2 and 3 send it.
        "application/openmetrics-text;version=1.0.0,"
        "application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"}) {
    EXPECT_EQ(ChooseExposition(open_metrics), Exposition::kOpenMetrics)
        << open_metrics;
  }
}

}  // namespace
}  // namespace serai::cri
