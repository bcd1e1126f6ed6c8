// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/e2e_test.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/enter_own_machine.h"
#include "tests/support/require.h"

namespace serai::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

NodeOptions OptionsFor(const TestContainerd* containerd) {
  NodeOptions options;
  options.chained = {"portmap"};
  if (containerd == nullptr) return options;
  options.pods_cgroup = containerd->cgroup();
  options.more_config =
      absl::StrCat("[passthrough]\nsocket = \"", containerd->socket(), "\"\n");
  return options;
}

}  // namespace

void PrintTo(Mode mode, std::ostream* out) {
  switch (mode) {
    case Mode::kAlone:
      *out << "Alone";
      break;
    case Mode::kPassedThrough:
      *out << "PassedThrough";
      break;
  }
}

std::string ModeName(const ::testing::TestParamInfo<Mode>& mode) {
  return ::testing::PrintToString(mode.param);
}

void E2eTest::SetUp() {
  SERAI_NEED("root");
  SERAI_NEED("net");
  if (GetParam() != Mode::kAlone) SERAI_NEED("containerd");
  if (ordinary() && ::access(kBusybox, X_OK) != 0) {
    FAIL() << kBusybox << " is not there (busybox-static)";
  }
  ASSERT_OK(EnterOwnMachine());
  if (GetParam() != Mode::kAlone) {
    containerd_ = std::make_unique<TestContainerd>();
    ASSERT_NO_FATAL_FAILURE(containerd_->Start());
  }
  node_ = std::make_unique<TestNode>(OptionsFor(containerd_.get()));
  ASSERT_NO_FATAL_FAILURE(node_->Start());
  const auto script = ordinary() ? ImportBusybox("script", {}) : Load("script");
  ASSERT_OK(script);
  script_ = *script;
}

void E2eTest::TearDown() {
  node_.reset();
  containerd_.reset();
}

absl::StatusOr<std::string> E2eTest::Web() {
  if (!ordinary()) return Load("web");
  return ImportBusybox("web",
                       {kBusybox, "httpd", "-f", "-p", "80", "-h", "/www"});
}

absl::StatusOr<std::string> E2eTest::Load(const std::string& guest) {
  const std::vector<std::string> files = {absl::StrCat(guest, ".hvt"),
                                          absl::StrCat(guest, ".spt")};
  RETURN_IF_ERROR(node_->LoadGuests(guest, files).status());
  return absl::StrCat("localhost/", guest, ":latest");
}

absl::StatusOr<std::string> E2eTest::ImportBusybox(
    const std::string& name, const std::vector<std::string>& entrypoint) {
  TarItem program;
  program.path = "bin/busybox";
  ASSIGN_OR_RETURN(program.content, ReadFile(kBusybox, 64 << 20));
  program.mode = 0755;
  std::vector<TarItem> items = {program};
  for (const char* applet : {"sh", "sleep", "cat", "top"}) {
    TarItem link;
    link.path = absl::StrCat("bin/", applet);
    link.type = AE_IFLNK;
    link.link = "busybox";
    items.push_back(link);
  }
  TarItem page;
  page.path = "www/index.html";
  page.content = "an ordinary page\n";
  items.push_back(page);
  ImageBuilder builder;
  builder.AddLayer(items);
  builder.config().env = {"PATH=/bin"};
  builder.config().entrypoint = entrypoint;
  return containerd_->ImportImage(name, builder);
}

cri::ContainerConfig E2eTest::Script(const std::string& name,
                                     const std::string& text) const {
  cri::ContainerConfig config = node_->ContainerConfig(script_, {});
  config.mutable_metadata()->set_name(name);
  config.set_log_path(absl::StrCat("c/", name, ".log"));
  for (const std::string& word : {std::string("sh"), std::string("-c"), text}) {
    config.add_command(word);
  }
  return config;
}

absl::StatusOr<CriClient::Running> E2eTest::RunScript(const std::string& name,
                                                      const std::string& text) {
  CriClient::Running running;
  ASSIGN_OR_RETURN(running.pod, node_->RunPod(name, handler()));
  ASSIGN_OR_RETURN(running.container,
                   node_->Create(running.pod, Script("c", text)));
  RETURN_IF_ERROR(node_->StartContainer(running.container));
  ASSIGN_OR_RETURN(const auto status, node_->PodStatusOf(running.pod));
  running.ip = status.network().ip();
  return running;
}

bool E2eTest::Eventually(absl::FunctionRef<bool()> holds) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!holds()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

cri::ContainerState E2eTest::StateOf(const std::string& container) {
  const auto status = node_->StatusOf(container);
  EXPECT_OK(status);
  return status.ok() ? status->state() : cri::CONTAINER_UNKNOWN;
}

std::string E2eTest::FileWith(const std::string& path, absl::string_view text) {
  std::string content;
  Eventually([&] {
    content = ReadFile(path, 16 << 20).value_or("");
    return absl::StrContains(content, text);
  });
  return content;
}

std::string E2eTest::LogWith(const std::string& container,
                             absl::string_view text) {
  const auto status = node_->StatusOf(container);
  EXPECT_OK(status);
  return status.ok() ? FileWith(status->log_path(), text) : "";
}

}  // namespace serai::testing
