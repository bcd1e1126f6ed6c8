// SPDX-License-Identifier: Apache-2.0
#pragma once

// A containerd of the test's own: Debian's program with its own root, state,
// sockets, control groups, bridge and subnet, the handler "unikernel" out of
// deploy/containerd/, and runc for other pods. Everything is gone when the
// object is: shims, mounts, control groups. For tests that called
// SERAI_NEED("root"), SERAI_NEED("net") and SERAI_NEED("containerd"), and
// EnterOwnMachine(): bridge, addresses and mounts are in the test's own
// namespaces.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/subprocess.h"
#include "tests/support/cri_client.h"
#include "tests/support/leak.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {

class ImageBuilder;

// The name of an image whose one program (tests/containerd/plain.cc) is
// ordinary, and which containerd takes as its sandbox image too.
inline constexpr char kPlainImage[] = "localhost/plain:latest";

struct ContainerdOptions {
  // Of containerd, and so of all shims, beside those it needs: "KEY=value".
  std::vector<std::string> env;
};

class TestContainerd final : public CriClient {
 public:
  explicit TestContainerd(ContainerdOptions options = {});
  ~TestContainerd();

  // Starts containerd, waits until it answers, and sees to the plain image.
  // Fails the test otherwise.
  void Start();
  // Ends containerd with a signal and reaps it. Pods and tasks go on.
  void Stop(int signal_number);
  pid_t pid() const { return pid_; }

  // SIGKILL, from any thread and while others call; Stop(SIGKILL) is then for
  // the thread that started it.
  void KillNow() const;

  // ctr(8) in a namespace of the test's own; its standard input is at its end.
  // An error when it could not be run or has failed, with what it said.
  absl::StatusOr<std::string> Ctr(const std::vector<std::string>& args);
  // The same with the exit code as a result.
  absl::StatusOr<SubprocessResult> RunCtr(const std::vector<std::string>& args);
  const std::string& ctr_namespace() const { return namespace_; }

  // Packs guests of the build tree ("web.spt", …) with `serai pack`, and
  // imports the image for ctr and for the CRI. Its name,
  // localhost/NAME:latest.
  absl::StatusOr<std::string> ImportGuests(
      const std::string& name, const std::vector<std::string>& guests);
  // The same with an image of any kind.
  absl::StatusOr<std::string> ImportImage(const std::string& name,
                                          const ImageBuilder& image);

  // An archive, for ctr and for the CRI.
  absl::Status Import(const std::string& archive);

  // The pid of the shim that serves a container of ctr's, or of the CRI (the
  // pod's id).
  absl::StatusOr<pid_t> ShimOf(const std::string& id, bool of_cri = false);
  // The main process of a task.
  absl::StatusOr<pid_t> TaskPid(const std::string& id, bool of_cri = false);

  // What pods and tasks are made of, now; and what has changed since: nothing,
  // once all of them are gone and the kernel had its time.
  Snapshot TakeSnapshot() const;
  std::vector<std::string> LeaksSince(const Snapshot& before) const;

  std::string socket() const { return directory_ / "containerd.sock"; }
  // All pods' control groups are below it, and what else is goes with it.
  std::string cgroup() const { return "/" + unique_; }
  std::string Log() const;
  const std::string& directory() const { return directory_.path(); }
  // "overlayfs" where the machine can do it, else "native".
  const std::string& snapshotter() const { return snapshotter_; }

 private:
  absl::Status Prepare();
  absl::Status WriteConfig();
  absl::Status WriteNetwork();
  absl::Status ImportPlain();
  void RemoveEverything();

  const ContainerdOptions options_;
  const TempDir directory_;
  const std::string unique_;
  const std::string namespace_;
  std::string snapshotter_;
  pid_t pid_ = -1;
};

// Skips where the needs are not met; else an own machine and a containerd.
class ContainerdTest : public ::testing::Test {
 protected:
  void SetUp() override;

  std::unique_ptr<TestContainerd> containerd_;
};

}  // namespace serai::testing
