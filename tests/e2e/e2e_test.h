// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a kubelet sees of a node whose CRI socket is seraid's, the same for each
// kind of node and pod: unikernels where seraid is alone, and ordinary pods
// that go through seraid to a containerd. A test of this fixture runs once for
// each, in a process of its own.

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/status.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_containerd.h"
#include "tests/support/test_node.h"

namespace serai::testing {

enum class Mode { kAlone, kPassedThrough };

class E2eTest : public ::testing::TestWithParam<Mode> {
 protected:
  // A busybox for ordinary pods, as Debian has it.
  static constexpr char kBusybox[] = "/bin/busybox";

  void SetUp() override;
  void TearDown() override;

  // Whether pods are runc's rather than unikernels.
  static bool ordinary() { return GetParam() == Mode::kPassedThrough; }
  // The RuntimeClass' handler.
  static std::string handler() { return ordinary() ? "" : "unikernel"; }

  // The name of an image whose command can be {"sh", "-c", SCRIPT} with what
  // the guest "script" knows.
  const std::string& script() const { return script_; }
  // The name of an image that serves HTTP on port 80 by itself.
  absl::StatusOr<std::string> Web();

  // A container of script(), called `name`.
  cri::ContainerConfig Script(const std::string& name,
                              const std::string& text) const;
  // A running pod with one such container.
  absl::StatusOr<CriClient::Running> RunScript(const std::string& name,
                                               const std::string& text);

  // Calls of the CRI that CriClient has no short form of.
  template <typename Stub, typename Request, typename Response>
  static absl::StatusOr<Response> Ask(
      Stub& stub,
      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                   Response*),
      const Request& request) {
    Call call;
    Response response;
    RETURN_IF_ERROR(FromGrpc((stub.*method)(call.get(), request, &response)));
    return response;
  }
  cri::RuntimeService::Stub& runtime() { return node_->runtime(); }
  cri::ImageService::Stub& images() { return node_->images(); }

  // Whether `holds` becomes true within a while.
  static bool Eventually(absl::FunctionRef<bool()> holds);
  cri::ContainerState StateOf(const std::string& container);
  // The file's text once it holds `text`, or what it holds after a while.
  static std::string FileWith(const std::string& path, absl::string_view text);
  // The same of a container's log.
  std::string LogWith(const std::string& container, absl::string_view text);

  std::unique_ptr<TestContainerd> containerd_;  // null where seraid is alone
  std::unique_ptr<TestNode> node_;

 private:
  absl::StatusOr<std::string> Load(const std::string& guest);
  absl::StatusOr<std::string> ImportBusybox(
      const std::string& name, const std::vector<std::string>& entrypoint);

  std::string script_;
};

void PrintTo(Mode mode, std::ostream* out);

// Every mode; names end in /Alone and /PassedThrough.
std::string ModeName(const ::testing::TestParamInfo<Mode>& mode);
#define SERAI_EVERY_MODE(test)                                            \
  INSTANTIATE_TEST_SUITE_P(                                               \
      Modes, test, ::testing::Values(Mode::kAlone, Mode::kPassedThrough), \
      ModeName)

}  // namespace serai::testing
