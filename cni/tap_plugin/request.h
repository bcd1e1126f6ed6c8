// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the plugin is asked: its environment and its stdin (CNI
// specification 1.1, sections 2 and 3), checked and bounded. Pure, but for
// RequestFromEnvironment().

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::tap_plugin {

// The specification's error codes (section 5), as payloads of no type would be.
enum class ErrorCode {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kInvalidEnvironment = 4,
  kIoFailure = 5,
  kDecodingFailure = 6,
  kInvalidConfig = 7,
  kTryAgainLater = 11,
  kPluginNotAvailable = 50,
  kInternal = 999,
};

// A status that carries its code to the error object.
absl::Status CniError(ErrorCode code, absl::string_view message);
// The code that a status carries; kInternal for others.
ErrorCode CodeOf(const absl::Status& status);

struct Environment {
  std::string command;
  std::string container_id;
  std::string netns;
  std::string interface;
  std::string args;  // CNI_ARGS as it is
  std::string path;  // CNI_PATH as it is
  std::string mac;   // MAC in the arguments; empty: any
};

// `get` tells a variable's value, empty when it is not set.
absl::StatusOr<Environment> ReadEnvironment(
    const std::function<std::string(const char*)>& get);

struct Config {
  std::string version;
  std::string name;
  nlohmann::json json;      // as it was given: what an IPAM plugin is given
  nlohmann::json previous;  // "prevResult"; null: none
  // Chained: the tap goes beside an interface that another plugin has made.
  // Else this plugin makes the interface, on a bridge.
  bool chained = true;
  std::string tap;  // chained: the tap's name in the pod; empty: any
  std::string bridge = "cni0";
  std::string ipam;  // its type
  bool is_gateway = false;
  bool is_default_gateway = false;
  bool hairpin = false;
  bool promiscuous = false;
  uint32_t mtu = 0;
  std::string mac;  // runtimeConfig.mac; empty: any
  // "cni.dev/valid-attachments": pairs of container id and interface. GC's.
  std::optional<std::vector<std::pair<std::string, std::string>>> valid;
};

// What stdin holds for a command other than VERSION.
absl::StatusOr<Config> ReadConfig(absl::string_view text);

// The "cniVersion" in what stdin holds for VERSION.
absl::StatusOr<std::string> ReadVersion(absl::string_view text);

}  // namespace serai::tap_plugin
