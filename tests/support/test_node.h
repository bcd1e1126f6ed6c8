// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node of the test's own: a real seraid with its own root, state, socket,
// cgroup parent, bridge and subnet, Debian's CNI plugins, the real shim and
// tender. Everything is gone when the object is. For tests that called
// SERAI_NEED("root") and SERAI_NEED("net").

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "proto/control/control.grpc.pb.h"
#include "tests/support/cri_client.h"
#include "tests/support/http_get.h"
#include "tests/support/temp_dir.h"

namespace serai::oci {
class Layout;
}  // namespace serai::oci

namespace serai::testing {

struct NodeOptions {
  // Appended to the configuration file, whose last table is [cni].
  std::string more_config;
  // Of /metrics; empty: nowhere.
  std::string metrics_address;
  // Of seraid, beside PATH: "KEY=value".
  std::vector<std::string> env;
  // The plugins of the default network after bridge.
  std::vector<std::string> chained = {"portmap", "firewall"};
  // Addresses for thousands of pods rather than 250: in a process that entered
  // its own machine, where no other node's subnet can be the same.
  bool large_subnet = false;
  // Put in place of the default network (bridge, portmap, firewall); "none"
  // for a node without one.
  std::string conflist;
  // The cgroup parent in PodConfig(); empty for the node's own.
  std::string pods_cgroup;
  // Searched before Debian's plugins, for plugins of the test's own.
  std::string plugin_dir;
  // Wraps seraid: a program and arguments that run it, such as unshare(1).
  std::vector<std::string> wrapper;
};

class TestNode : public CriClient {
 public:
  explicit TestNode(NodeOptions options = {});
  ~TestNode();
  TestNode(const TestNode&) = delete;
  TestNode& operator=(const TestNode&) = delete;

  // Starts seraid and waits until it answers. Fails the test otherwise.
  void Start();
  // Kills seraid, from any thread; calls under way fail. Stop() reaps it.
  void Kill();
  // Kills it and starts another, which later calls wait for or fail at. What
  // is under way fails.
  void Replace();
  // Ends seraid with a signal and reaps it. Pods go on.
  void Stop(int signal_number);
  pid_t pid() const { return pid_; }

  control::v1::Control::Stub& control() { return *control_; }

  // Packs guests of the build tree ("web.hvt", …) into an image called
  // localhost/NAME:latest and loads it. Its id.
  absl::StatusOr<std::string> LoadGuests(
      const std::string& name, const std::vector<std::string>& guests);
  // The same with files from anywhere.
  absl::StatusOr<std::string> LoadFiles(const std::string& name,
                                        const std::vector<std::string>& paths);
  // The same with the images of a layout, under the names that it gives them.
  // The first one's id.
  absl::StatusOr<std::string> LoadLayout(const oci::Layout& layout);

  const std::string& directory() const { return directory_.path(); }
  std::string root() const { return directory_ / "root"; }
  std::string state() const { return directory_ / "state"; }
  std::string socket() const { return directory_ / "seraid.sock"; }
  std::string ipam_dir() const { return directory_ / "ipam"; }
  std::string cgroup_parent() const { return cgroup_parent_; }
  const std::string& bridge() const { return bridge_; }
  // From now on seraid fails at this step (lib/base/fault.h), or dies at it
  // ("crash:STEP"); at none when it is empty.
  void InjectFault(const std::string& step);
  // What seraid has logged.
  std::string DaemonLog() const;

 private:
  std::string fault_file() const { return directory_ / "fault"; }
  void WriteConfig();
  void Spawn();

  const NodeOptions options_;
  const TempDir directory_;
  const std::string bridge_;
  const std::string subnet_;  // "10.x.y.0/24"
  const std::string cgroup_parent_;
  const std::string forwarding_;  // the machine's, to be put back
  pid_t pid_ = -1;
  std::unique_ptr<control::v1::Control::Stub> control_;
};

}  // namespace serai::testing
