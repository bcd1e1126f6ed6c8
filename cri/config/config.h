// SPDX-License-Identifier: Apache-2.0
#pragma once

// seraid's configuration: /etc/serai/config.toml, then config.toml.d/*.toml
// beside it in order, later files over earlier ones. A key that is not known is
// an error with its place: a typing mistake must not pass for a setting.
//
// A new key takes three lines: its member with the default here, a KEY line
// with its kind and help in keys.cc, and `seraid config default` into
// docs/config.md. Reading, printing, checking and reloading follow from these.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::cri {

inline constexpr char kDefaultConfigPath[] = "/etc/serai/config.toml";

// [handlers.NAME]: a RuntimeClass handler.
struct HandlerConfig {
  // The guest's size when its container has no memory limit. Bytes.
  int64_t default_memory = 64 << 20;
  // What the tender and the kernel need beside the guest's own memory: added
  // to the guest's size for the container's cgroup limit. Bytes.
  int64_t overhead_memory = 32 << 20;
  // Of an emptyDir's disk whose size nothing else tells. Bytes.
  int64_t empty_dir_size = 1 << 30;
};

struct Config {
  std::string root = "/var/lib/serai";  // survives a reboot
  std::string state = "/run/serai";     // gone at reboot

  struct Cri {
    std::string socket = "/run/serai/seraid.sock";
  } cri;

  // Empty: looked for beside the daemon, in ../bin and in ../libexec/serai.
  struct Programs {
    std::string shim;
    std::string tender;
    std::string unpacker;
  } programs;

  std::map<std::string, HandlerConfig> handlers = {{"unikernel", {}}};

  struct Cni {
    std::string conf_dir = "/etc/cni/net.d";
    std::vector<std::string> bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
    absl::Duration timeout = absl::Seconds(60);  // of each plugin
  } cni;

  struct Registry {
    std::string config_path = "/etc/containerd/certs.d";  // of hosts.toml files
  } registry;

  struct Metrics {
    // Where Prometheus finds /metrics; empty: nowhere.
    std::string address = "127.0.0.1:9469";
  } metrics;

  // Where attach and port-forward are served. As streaming::ServerOptions.
  struct Streaming {
    std::string address = "127.0.0.1:0";
    std::string tls_certificate;
    std::string tls_key;
    std::string tls_client_ca;
  } streaming;

  struct Image {
    // Names of images that kubelet's garbage collection passes over
    // (cri/image/store.h).
    std::vector<std::string> pinned;
    // Repositories whose images must be signed by one of the keys, PEM files of
    // public keys (cri/image/signature_policy.h).
    std::vector<std::string> signed_images;
    std::vector<std::string> signature_keys;
  } image;

  struct Log {
    std::string level = "info";
    std::string format = "text";
  } log;

  struct Cgroup {
    std::string driver = "cgroupfs";  // or "systemd"; kubelet's
    bool by_systemd() const { return driver == "systemd"; }
    // Of pods that come without a cgroup parent; path in the hierarchy. With
    // systemd its last part names the slice.
    std::string parent = "/serai";
  } cgroup;

  // Containerd's CRI socket, which answers what is not ours; empty: a node of
  // unikernels alone.
  struct PassThrough {
    std::string socket;
    // Of containerd's CRI plugin: where it unpacks images.
    std::string snapshotter = "overlayfs";
  } passthrough;
};

// Reads `path` and its drop-ins (`path`.d/*.toml). NOT_FOUND when there is no
// `path` and it `must_exist`; else the drop-ins alone count. INVALID_ARGUMENT
// with a line for each mistake, that names file, line, column and what is
// wrong; a drop-in that can't be read is one.
absl::StatusOr<Config> LoadConfig(const std::string& path, bool must_exist);

// Puts the settings of one document over `config`. `name` is for messages.
absl::Status ApplyToml(const std::string& text, const std::string& name,
                       Config& config);

// The handler called `name`, as long as `config` lives. INVALID_ARGUMENT that
// lists those there are when there is none; a pod can outlive its handler.
absl::StatusOr<const HandlerConfig*> FindHandler(const Config& config,
                                                 const std::string& name);

// A configuration file that says every key with its default, commented out.
std::string DefaultToml();

// What `config` names and this machine lacks: directories, programs, files. One
// sentence each, beginning with the key.
std::vector<std::string> MissingThings(const Config& config);

// The keys whose values differ, such as "cni.timeout", and that a running
// daemon can't change; "handlers.NAME" for one that is new or gone.
std::vector<std::string> KeysThatNeedARestart(const Config& before,
                                              const Config& after);

}  // namespace serai::cri
