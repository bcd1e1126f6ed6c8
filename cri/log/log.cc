// SPDX-License-Identifier: Apache-2.0
#include "cri/log/log.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

constexpr std::array<const char*, 5> kFieldNames = {
    "method", "pod", "container", "pod_name", "image"};

struct Fields {
  std::array<std::string, kFieldNames.size()> values;
  Fields* outer = nullptr;
};

thread_local Fields* innermost = nullptr;

// The innermost scope's value of a field, or that of one around it.
const std::string& ValueOf(size_t field) {
  static const std::string& none = *new std::string;
  for (const Fields* scope = innermost; scope != nullptr;
       scope = scope->outer) {
    if (!scope->values[field].empty()) return scope->values[field];
  }
  return none;
}

absl::string_view PayloadOf(const spdlog::details::log_msg& message) {
  return {message.payload.data(), message.payload.size()};
}

void Append(const std::string& text, spdlog::memory_buf_t& out) {
  out.append(text.data(), text.data() + text.size());
}

std::string TimeOf(const spdlog::details::log_msg& message) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                          absl::FromChrono(message.time), absl::UTCTimeZone());
}

class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message,
              spdlog::memory_buf_t& out) override {
    const auto level = spdlog::level::to_string_view(message.level);
    nlohmann::ordered_json line = {
        {"time", TimeOf(message)},
        {"level", std::string(level.data(), level.size())},
        {"message", std::string(PayloadOf(message))}};
    for (size_t i = 0; i < kFieldNames.size(); ++i) {
      if (!ValueOf(i).empty()) line[kFieldNames[i]] = ValueOf(i);
    }
    // What guests and registries say need not be UTF-8.
    Append(line.dump(-1, ' ', false,
                     nlohmann::ordered_json::error_handler_t::replace) +
               "\n",
           out);
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

class TextFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message,
              spdlog::memory_buf_t& out) override {
    const auto level = spdlog::level::to_string_view(message.level);
    const absl::string_view payload = PayloadOf(message);
    std::string line = absl::StrCat(
        TimeOf(message), " ", absl::string_view(level.data(), level.size()),
        " ", payload);
    for (size_t i = 0; i < kFieldNames.size(); ++i) {
      if (ValueOf(i).empty() || absl::StrContains(payload, ValueOf(i)))
        continue;
      absl::StrAppend(&line, " ", kFieldNames[i], "=", ValueOf(i));
    }
    // One entry is one line, and moves no cursor, whatever is quoted in it.
    std::replace_if(
        line.begin(), line.end(),
        [](unsigned char c) { return absl::ascii_iscntrl(c); }, ' ');
    Append(line + "\n", out);
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<TextFormatter>();
  }
};

}  // namespace

LogScope::LogScope() {
  auto fields = std::make_unique<Fields>();
  fields->outer = innermost;
  innermost = fields.release();
}

LogScope::~LogScope() {
  const std::unique_ptr<Fields> fields(innermost);
  innermost = fields->outer;
}

void NoteForLog(LogField field, const std::string& value) {
  if (innermost == nullptr) return;
  innermost->values[static_cast<size_t>(field)] = value;
}

void SetUpLog(const std::string& level, const std::string& format) {
  // Made the default but once: that is not to be done beside other threads.
  static spdlog::logger* const logger = [] {
    spdlog::set_default_logger(spdlog::stderr_logger_mt("seraid"));
    return spdlog::default_logger_raw();
  }();
  if (format == "json") {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_formatter(std::make_unique<TextFormatter>());
  }
  logger->set_level(spdlog::level::from_str(level));
}

bool LogsDebug() { return spdlog::should_log(spdlog::level::debug); }

}  // namespace serai::cri
