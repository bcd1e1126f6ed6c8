// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/exposition.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"

namespace serai::cri {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Whole numbers up to here are exact in a double.
constexpr double kMaxExact = 9007199254740992;

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value == std::floor(value) && std::abs(value) <= kMaxExact) {
    return absl::StrCat(static_cast<int64_t>(value));
  }
  return absl::StrFormat("%.17g", value);
}

// A bucket's bound is a float also where it is whole.
std::string Bound(double value) {
  std::string text = std::isinf(value) ? Number(value) : absl::StrCat(value);
  if (text.find_first_of(".eI") == std::string::npos) text += ".0";
  return text;
}

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"\\", "\\\\"}, {"\n", "\\n"}, {"\"", "\\\""}});
}

void AppendSample(std::string& out, absl::string_view name,
                  const ClientMetric& metric, absl::string_view more_label,
                  double value) {
  absl::StrAppend(&out, name);
  const char* separator = "{";
  for (const ClientMetric::Label& label : metric.label) {
    absl::StrAppend(&out, separator, label.name, "=\"", Escaped(label.value),
                    "\"");
    separator = ",";
  }
  if (!more_label.empty()) {
    absl::StrAppend(&out, separator, more_label);
    separator = ",";
  }
  if (*separator == ',') absl::StrAppend(&out, "}");
  absl::StrAppend(&out, " ", Number(value), "\n");
}

void AppendHistogram(std::string& out, absl::string_view name,
                     const ClientMetric& metric) {
  const std::string bucket = absl::StrCat(name, "_bucket");
  for (const ClientMetric::Bucket& b : metric.histogram.bucket) {
    AppendSample(out, bucket, metric,
                 absl::StrCat("le=\"", Bound(b.upper_bound), "\""),
                 static_cast<double>(b.cumulative_count));
  }
  AppendSample(out, absl::StrCat(name, "_count"), metric, "",
               static_cast<double>(metric.histogram.sample_count));
  AppendSample(out, absl::StrCat(name, "_sum"), metric, "",
               metric.histogram.sample_sum);
}

const char* TypeName(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Histogram:
      return "histogram";
    default:
      return "gauge";
  }
}

// The family's name is that of its samples without the type's suffix.
void AppendFamily(std::string& out, const MetricFamily& family) {
  const absl::string_view name = family.type == MetricType::Counter
                                     ? absl::StripSuffix(family.name, "_total")
                                     : absl::string_view(family.name);
  absl::StrAppend(&out, "# TYPE ", name, " ", TypeName(family.type), "\n");
  for (const absl::string_view unit : {"seconds", "bytes"}) {
    if (absl::EndsWith(name, absl::StrCat("_", unit))) {
      absl::StrAppend(&out, "# UNIT ", name, " ", unit, "\n");
    }
  }
  absl::StrAppend(&out, "# HELP ", name, " ", Escaped(family.help), "\n");
  for (const ClientMetric& metric : family.metric) {
    switch (family.type) {
      case MetricType::Counter:
        AppendSample(out, absl::StrCat(name, "_total"), metric, "",
                     metric.counter.value);
        break;
      case MetricType::Histogram:
        AppendHistogram(out, name, metric);
        break;
      default:
        AppendSample(out, name, metric, "", metric.gauge.value);
    }
  }
}

// One media range of an Accept header, "type/subtype;q=0.5;…".
struct MediaRange {
  absl::string_view type;
  absl::string_view version;
  double weight = 1;
};

MediaRange ParseMediaRange(absl::string_view text) {
  MediaRange range;
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ';');
  range.type = absl::StripAsciiWhitespace(parts.front());
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(parameter.first);
    const absl::string_view value =
        absl::StripAsciiWhitespace(parameter.second);
    if (name == "version") range.version = value;
    // What is no weight has none.
    if (name == "q" && !absl::SimpleAtod(value, &range.weight)) {
      range.weight = 0;
    }
  }
  return range;
}

bool IsOpenMetrics(const MediaRange& range) {
  return range.type == "application/openmetrics-text" &&
         (range.version.empty() || range.version == "1.0.0" ||
          range.version == "0.0.1");
}

bool IsText(const MediaRange& range) {
  return range.type == "text/plain" || range.type == "text/*" ||
         range.type == "*/*";
}

}  // namespace

Exposition ChooseExposition(absl::string_view accept) {
  double open_metrics = 0;
  double text = 0;
  for (const absl::string_view part : absl::StrSplit(accept, ',')) {
    const MediaRange range = ParseMediaRange(part);
    if (IsOpenMetrics(range)) {
      open_metrics = std::max(open_metrics, range.weight);
    }
    if (IsText(range)) text = std::max(text, range.weight);
  }
  return open_metrics > text ? Exposition::kOpenMetrics : Exposition::kText;
}

absl::string_view ContentType(Exposition exposition) {
  return exposition == Exposition::kOpenMetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

std::string Expose(const std::vector<MetricFamily>& families,
                   Exposition exposition) {
  if (exposition == Exposition::kText) {
    return prometheus::TextSerializer().Serialize(families);
  }
  std::string out;
  for (const MetricFamily& family : families) AppendFamily(out, family);
  out += "# EOF\n";
  return out;
}

}  // namespace serai::cri
