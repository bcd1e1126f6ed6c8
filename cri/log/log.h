// SPDX-License-Identifier: Apache-2.0
#pragma once

// The daemon's log: lines of text, or of JSON with what the line is about as
// fields. Any thread. Lines are written with spdlog, as everywhere; a LogScope
// says what the lines of this thread are about until it ends.
//
// JSON: {"time":…,"level":…,"message":…} and, where known, "method" (the RPC),
// "pod", "container" (ids), "pod_name" ("namespace/name"), "image" (as it was
// asked for). In text the same stand behind the message as name=value, unless
// the message has them.

#include <string>
#include <utility>

namespace serai::cri {

enum class LogField { kMethod, kPod, kContainer, kPodName, kImage };

class LogScope {
 public:
  LogScope();
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;
};

// Says what the lines in this thread's innermost scope are about from now on.
// Without a scope nothing happens.
void NoteForLog(LogField field, const std::string& value);

// `level` is debug, info, warn or error; `format` is text or json. May be
// called again at any time.
void SetUpLog(const std::string& level, const std::string& format);

// Whether debug lines are written, for those that cost something to make.
bool LogsDebug();

}  // namespace serai::cri
