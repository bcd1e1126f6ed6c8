// SPDX-License-Identifier: Apache-2.0
// What an administrator sees of seraid: the service manager's view, the log,
// the configuration while it runs.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/oci/pack.h"
#include "lib/oci/registry/client.h"
#include "tests/integration/bad_input.h"
#include "tests/support/registry.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// The service manager's socket.
class Manager {
 public:
  Manager() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(::bind(fd_.get(), generic, sizeof(address)), 0);
    const timeval patience = {20, 0};
    EXPECT_EQ(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                           sizeof(patience)),
              0);
  }

  std::string path() const { return directory_ / "notify"; }

  // The next message that says `what`; "" when none comes.
  std::string Await(const std::string& what) const {
    for (;;) {
      std::string message(4096, '\0');
      const ssize_t size = ::recv(fd_.get(), message.data(), message.size(), 0);
      if (size < 0) return "";
      message.resize(static_cast<size_t>(size));
      if (absl::StrContains(message, what)) return message;
    }
  }

 private:
  const TempDir directory_;
  const UniqueFd fd_;
};

class OperatorTest : public BadInputTest {
 protected:
  // What seraid's log has from now on, once `what` is in it.
  std::string LogFrom(size_t from, const std::string& what) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    std::string log;
    do {
      log = node_->DaemonLog().substr(from);
      if (absl::StrContains(log, what)) return log;
      absl::SleepFor(absl::Milliseconds(10));
    } while (absl::Now() < deadline);
    ADD_FAILURE() << "no \"" << what << "\" in:\n" << log;
    return log;
  }

  void WriteDropIn(const std::string& text) {
    const std::string directory = node_->directory() + "/config.toml.d";
    ASSERT_OK(MakeDirs(directory));
    ASSERT_OK(WriteFileAtomic(directory + "/50-test.toml", text));
  }
};

TEST_F(OperatorTest, TheServiceManagerIsToldOfEachState) {
  const Manager manager;
  NodeOptions options;
  options.env = {"NOTIFY_SOCKET=" + manager.path(), "WATCHDOG_USEC=400000"};
  ASSERT_NO_FATAL_FAILURE(StartNode(options));
  EXPECT_THAT(manager.Await("READY=1"), HasSubstr("STATUS=seraid "));
  EXPECT_NE(manager.Await("WATCHDOG=1"), "");
  EXPECT_NE(manager.Await("WATCHDOG=1"), "");
  ASSERT_EQ(::kill(node_->pid(), SIGHUP), 0);
  EXPECT_THAT(manager.Await("RELOADING=1"), HasSubstr("MONOTONIC_USEC="));
  EXPECT_NE(manager.Await("READY=1"), "");
  node_->Stop(SIGTERM);
  EXPECT_NE(manager.Await("STOPPING=1"), "");
}

TEST_F(OperatorTest, AReloadTakesWhatItCanAndNamesTheRest) {
  ASSERT_NO_FATAL_FAILURE(StartNode());
  size_t before = node_->DaemonLog().size();
  WriteDropIn(
      "version = 1\n[log]\nformat = \"json\"\n[cni]\ntimeout = \"7s\"\n");
  ASSERT_EQ(::kill(node_->pid(), SIGHUP), 0);
  EXPECT_THAT(LogFrom(before, "SIGHUP"),
              HasSubstr("these wait for a restart of seraid: cni.timeout"));

  // From here on lines are JSON, with the pod's id as a field.
  before = node_->DaemonLog().size();
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("logged"));
  const std::string log = LogFrom(before, "RunPodSandbox default/logged");
  bool found = false;
  for (const absl::string_view line :
       absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    const auto entry =
        nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
    ASSERT_TRUE(entry.is_object()) << std::string(line);
    EXPECT_TRUE(entry.contains("time") && entry.contains("level"));
    found |= entry.value("pod", "") == pod &&
             entry.value("method", "") == "RunPodSandbox" &&
             entry.value("pod_name", "") == "default/logged";
  }
  EXPECT_TRUE(found) << log;

  // A broken file changes nothing, and says where it is broken.
  before = node_->DaemonLog().size();
  WriteDropIn("version = 1\n[log]\nformat = \"runes\"\n");
  ASSERT_EQ(::kill(node_->pid(), SIGHUP), 0);
  const std::string refused = LogFrom(before, "SIGHUP");
  EXPECT_THAT(refused, HasSubstr("stays as it was"));
  EXPECT_THAT(refused, HasSubstr("50-test.toml:3:10: "));
  EXPECT_THAT(refused, HasSubstr("{\"time\":"));
  EXPECT_OK(node_->RemovePod(pod));
}

TEST_F(OperatorTest, ConfigCheckSaysAllMistakes) {
  const TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "config.toml",
                            "version = 1\nroot = 1\n[log]\nlevel = \"x\"\n"));
  SubprocessSpec spec;
  spec.program = JoinPath(BuildDir(), "bin/seraid");
  spec.args = {"config", "check", dir / "config.toml"};
  ASSERT_OK_AND_ASSIGN(SubprocessResult result, RunSubprocess(spec));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.error_output, HasSubstr("config.toml:2:8: "));
  EXPECT_THAT(result.error_output, HasSubstr("config.toml:4:9: "));
  ASSERT_OK(WriteFileAtomic(dir / "config.toml",
                            "version = 1\n[cni]\nconf_dir = \"/nowhere\"\n"));
  ASSERT_OK_AND_ASSIGN(result, RunSubprocess(spec));
  EXPECT_EQ(result.exit_code, 0) << result.error_output;
  EXPECT_THAT(result.error_output, HasSubstr("warning: cni.conf_dir: "));
  EXPECT_THAT(result.output, HasSubstr("OK"));
}

TEST_F(OperatorTest, ContainerdsSocketIsNoneOfSeraids) {
  const TempDir dir;
  ASSERT_OK(MakeDirs(dir / "run"));
  ASSERT_EQ(::symlink("run", (dir / "link").c_str()), 0);
  SubprocessSpec spec;
  spec.program = JoinPath(BuildDir(), "bin/seraid");
  spec.args = {"--config", dir / "config.toml"};
  for (const char* socket : {"link/seraid.sock", "link/local.sock"}) {
    ASSERT_OK(WriteFileAtomic(
        dir / "config.toml",
        absl::StrCat("version = 1\nroot = \"", dir / "root", "\"\nstate = \"",
                     dir / "run", "\"\n[cri]\nsocket = \"",
                     dir / "run/seraid.sock", "\"\n[passthrough]\nsocket = \"",
                     dir / socket, "\"\n")));
    ASSERT_OK_AND_ASSIGN(const SubprocessResult result, RunSubprocess(spec));
    EXPECT_NE(result.exit_code, 0);
    EXPECT_THAT(result.error_output + result.output,
                HasSubstr("[passthrough] socket is seraid's own, "));
  }
}

TEST_F(OperatorTest, SecretsAreInNoLog) {
  SERAI_NEED_REGISTRY();
  ASSERT_NO_FATAL_FAILURE(StartNode());
  ASSERT_OK_AND_ASSIGN(const auto registry,
                       LocalRegistry::Start(LocalRegistry::Auth::kBasic));
  cri::PullImageRequest pull;
  pull.mutable_image()->set_image(registry->host() + "/team/web:1");
  pull.mutable_auth()->set_username(LocalRegistry::kUsername);
  pull.mutable_auth()->set_password(LocalRegistry::kPassword);
  const auto call = [&] {
    return CallCri(node_->images(), &cri::ImageService::Stub::PullImage, pull);
  };
  // Nobody has pushed it: with the right password that is what is said.
  EXPECT_THAT(call(), HasStatus(absl::StatusCode::kNotFound, ""));
  pull.mutable_auth()->set_password("sesame shut");
  EXPECT_FALSE(call().ok());
  pull.mutable_auth()->Clear();
  pull.mutable_auth()->set_auth(absl::Base64Escape(
      absl::StrCat(LocalRegistry::kUsername, ":", LocalRegistry::kPassword)));
  EXPECT_THAT(call(), HasStatus(absl::StatusCode::kNotFound, ""));
  pull.mutable_auth()->Clear();
  pull.mutable_auth()->set_identity_token("identity-secret");
  EXPECT_FALSE(call().ok());
  pull.mutable_auth()->Clear();
  pull.mutable_auth()->set_registry_token("registry-secret");
  EXPECT_FALSE(call().ok());

  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("web", {"web.spt"}));
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("secretive"));
  auto config = node_->ContainerConfig(image, {});
  auto* env = config.add_envs();
  env->set_key("PASSWORD");
  env->set_value("env-secret");
  ASSERT_OK(node_->Create(pod, config));

  const std::string log = node_->DaemonLog();
  EXPECT_THAT(log, HasSubstr("PullImage asks: "));
  EXPECT_THAT(log, HasSubstr("CreateContainer asks: "));
  EXPECT_THAT(log, HasSubstr("PASSWORD"));
  for (const std::string& secret :
       {std::string(LocalRegistry::kPassword), std::string("sesame shut"),
        absl::Base64Escape(absl::StrCat(LocalRegistry::kUsername, ":",
                                        LocalRegistry::kPassword)),
        std::string("identity-secret"), std::string("registry-secret"),
        std::string("env-secret")}) {
    EXPECT_THAT(log, Not(HasSubstr(secret)));
  }
}

TEST(UnitFileTest, IsSound) {
  SubprocessSpec spec;
  spec.program = "/usr/bin/systemd-analyze";
  if (!PathExists(spec.program)) GTEST_SKIP() << "needs systemd-analyze";
  const TempDir dir;
  ASSERT_OK_AND_ASSIGN(
      std::string unit,
      ReadFile(SERAI_SOURCE_DIR "/deploy/systemd/seraid.service", 1 << 16));
  const std::string installed = "ExecStart=/usr/bin/seraid";
  ASSERT_THAT(unit, HasSubstr(installed));
  unit.replace(unit.find(installed), installed.size(),
               absl::StrCat("ExecStart=", BuildDir(), "/bin/seraid"));
  ASSERT_OK(WriteFileAtomic(dir / "seraid.service", unit));
  spec.args = {"verify", "--man=no", dir / "seraid.service"};
  ASSERT_OK_AND_ASSIGN(const SubprocessResult result, RunSubprocess(spec));
  EXPECT_EQ(result.exit_code, 0) << result.error_output;
  EXPECT_THAT(result.error_output, Not(HasSubstr("seraid.service:")));
}

}  // namespace
}  // namespace serai::testing
