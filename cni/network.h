// SPDX-License-Identifier: Apache-2.0
#pragma once

// A CNI runtime (https://www.cni.dev/docs/spec/, versions 0.3.0 to 1.1.0): runs
// the plugin chain of the node's network configuration for a pod. Between the
// network namespace with its loopback, which the caller makes, and the tap
// (lib/host/tap.h).
//
// Client is safe for use by several threads; the caller keeps calls for one
// attachment apart. Calls block for as long as the plugins run.

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/status.h"

namespace serai::cni {

// A port of the host that is led to the pod (capability "portMappings").
struct PortMapping {
  int host_port = 0;  // 0: stated for people only, and left out
  int container_port = 0;
  std::string protocol = "tcp";  // "tcp", "udp" or "sctp"
  std::string host_ip;           // empty: every address of the host

  bool operator==(const PortMapping&) const = default;
};

// An interface of a pod: the pair (container_id, interface_name) names it.
struct Attachment {
  std::string container_id;  // the sandbox id: [A-Za-z0-9][A-Za-z0-9_.-]*
  std::string netns;         // path of the pod's network namespace
  std::string interface_name = "eth0";
  std::string pod_name;
  std::string pod_namespace;
  std::string pod_uid;
  std::vector<PortMapping> port_mappings;
  // Asked for in CNI_ARGS (IP, MAC), which plugins may heed or not; empty: any.
  // For ADD alone: no record has them.
  std::string wanted_address;
  std::string wanted_mac;

  bool operator==(const Attachment&) const = default;
};

// Addresses are in canonical form, as inet_ntop(3) prints them.
struct IpConfig {
  std::string address;
  int prefix_length = 0;
  std::string gateway;  // empty: none told; may lie outside the prefix
  bool is_ipv6 = false;
};

struct Route {
  std::string destination;  // the network's address
  int prefix_length = 0;
  std::string gateway;  // empty: the gateway of the address
  bool is_ipv6 = false;
};

struct Dns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;
};

// What a finished chain said of the pod's interface: checked and bounded.
struct Result {
  std::vector<IpConfig> ips;  // at least one; the first is the pod's own
  std::vector<Route> routes;
  // The interface's hardware address, "aa:bb:cc:dd:ee:ff"; empty when not told.
  // What the kernel says of the interface (host::CreateTap) is what counts.
  std::string mac;
  Dns dns;
  std::string json;  // the whole result as the last plugin gave it
};

// The network that is in use.
struct Network {
  std::string file;  // its configuration's path
  std::string name;
  std::string version;               // what plugins are spoken to in
  std::vector<std::string> plugins;  // their types, in order
};

struct Options {
  // The first of *.conflist, *.conf and *.json in lexicographic order is the
  // network. Looked at anew by every call: a configuration may come later.
  std::string conf_dir = "/etc/cni/net.d";
  std::vector<std::string> bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
  // Holds a record of each attachment, of which Del lives. Made when missing.
  // Should outlive a reboot, as the address leases of IPAM plugins do: on a
  // disk, not in /run. Nothing waits for that disk.
  std::string cache_dir = "/var/lib/serai/cni";
  absl::Duration timeout = absl::Seconds(60);  // of each plugin's run
};

class Client {
 public:
  explicit Client(Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // OK when there is a network configuration that this client understands and
  // whose plugins are there, speak its version and (CNI 1.1) call themselves
  // ready; else UNAVAILABLE with what was looked for where.
  absl::Status Ready();

  // The network that Add() would use. UNAVAILABLE as Ready(), which looks
  // closer.
  absl::StatusOr<Network> Current() const;

  // Runs the chain's ADD. On failure every plugin of it has been told DEL;
  // where that failed too, the record stays and Del() tries again.
  // INVALID_ARGUMENT for a bad attachment, ALREADY_EXISTS when it has a record,
  // UNAVAILABLE as Ready() or when a plugin says "try again later",
  // DEADLINE_EXCEEDED for a plugin that hangs and RESOURCE_EXHAUSTED for one
  // that floods (both are killed), UNKNOWN for one that fails or answers
  // nonsense; the message names the plugin and holds what
  // it said.
  absl::StatusOr<Result> Add(const Attachment& attachment);

  // Runs the chain's DEL backwards with the configuration and result of ADD,
  // whatever the configuration is now, and forgets the attachment. Ends at a
  // plugin's error, as the specification has it; the record then stays for
  // another try. Where plugins of an ADD or DEL still run that were started by
  // a process that was killed, they are waited for, and killed when they take
  // longer than the timeout. OK when there is no such attachment. The namespace
  // may be gone, but better is not yet: the bridge plugin leaves its
  // masquerading rules then. Where the record can't be understood, the present
  // configuration is what is left to go by, with neither namespace nor result;
  // the record is then kept as <record>.unreadable, for a person to look at.
  absl::Status Del(const std::string& container_id,
                   const std::string& interface_name = "eth0");

  // Runs the chain's CHECK. NOT_FOUND when there is no such attachment. OK
  // without a run when the configuration forbids checks or is older than them.
  absl::Status Check(const std::string& container_id,
                     const std::string& interface_name = "eth0");

  // Every attachment with a record, for recovery, before other calls: those
  // that the caller does not know want Del(). A record that can't be read is
  // left out. Removes what a crash left of the writing of records.
  absl::StatusOr<std::vector<Attachment>> Attachments();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace serai::cni
