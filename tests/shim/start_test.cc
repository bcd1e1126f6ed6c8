// SPDX-License-Identifier: Apache-2.0
// The shim's commands as each generation of containerd gives them, and what it
// is told of: by the real program.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/base/event_loop.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/host/cgroup.h"
#include "lib/host/pidfd.h"
#include "lib/ttrpc/client.h"
#include "lib/ttrpc/server.h"
#include "lib/ttrpc/typed_call.h"
#include "proto/task/bootstrap.pb.h"
#include "proto/task/events.pb.h"
#include "proto/task/task.pb.h"
#include "shim/socket.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::shim {
namespace {

using ::serai::testing::BuildDir;
using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Json = nlohmann::json;

absl::Time Soon() { return absl::Now() + absl::Seconds(20); }

// containerd's end of the events: on a thread, as the shim is another process.
class EventsServer {
 public:
  explicit EventsServer(std::string path)
      : path_(std::move(path)),
        loop_(*EventLoop::Create()),
        server_(*loop_,
                [this](const ttrpc::Call& call, ttrpc::Server::Reply reply) {
                  Take(call, reply);
                }) {
    auto listener = ListenAt(path_);
    EXPECT_OK(listener);
    if (listener.ok()) EXPECT_OK(server_.Listen(*std::move(listener)));
    thread_ = std::thread([this] { EXPECT_OK(loop_->Run()); });
  }
  ~EventsServer() {
    EXPECT_OK((*ttrpc::Client::Connect(path_))->Call("", "Stop", "", Soon()));
    thread_.join();
    EXPECT_OK(RemovePath(path_));
  }

  // "/tasks/start a" and so on, when `count` have come.
  std::vector<std::string> Take(size_t count) {
    const absl::Time end = Soon();
    for (;;) {
      {
        const absl::MutexLock lock(&mutex_);
        if (taken_.size() >= count || absl::Now() > end) {
          return std::exchange(taken_, {});
        }
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
  }

 private:
  void Take(const ttrpc::Call& call, const ttrpc::Server::Reply& reply) {
    reply(std::string());
    if (call.method == "Stop") return loop_->Stop();
    events::ForwardRequest request;
    EXPECT_TRUE(request.ParseFromString(call.request));
    const events::Envelope& envelope = request.envelope();
    EXPECT_EQ(envelope.namespace_(), "test");
    // The container's id is every event's first member.
    events::TaskStart event;
    EXPECT_TRUE(event.ParseFromString(envelope.event().value()));
    const absl::MutexLock lock(&mutex_);
    taken_.push_back(absl::StrCat(envelope.topic(), " ", event.container_id()));
  }

  const std::string path_;
  std::unique_ptr<EventLoop> loop_;
  ttrpc::Server server_;
  absl::Mutex mutex_;
  std::vector<std::string> taken_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

// A containerd's state directory, in which the test does as containerd does.
class StartTest : public ::testing::Test {
 protected:
  ~StartTest() override {
    for (const host::Pidfd& shim : shims_) {
      if (shim.Wait(absl::ZeroDuration()).value_or(false)) continue;
      EXPECT_OK(shim.SendSignal(SIGTERM));
      EXPECT_TRUE(shim.Wait(absl::Seconds(10)).value_or(false));
    }
  }

  std::string Bundle(const std::string& id) const { return dir_ / id; }
  std::string Ttrpc() const { return dir_ / "c.ttrpc"; }

  // A bundle as containerd makes it, with the FIFO for the shim's messages.
  UniqueFd MakeBundle(const std::string& id,
                      const Json& annotations = Json::object()) {
    Json spec = {{"ociVersion", "1.0.2"},
                 {"root", {{"path", BuildDir() + "/guests"}}},
                 {"process", {{"args", {"/hello.spt"}}}},
                 {"annotations", {{"dev.serai.devices", "[]"}}}};
    if (::geteuid() == 0) spec["linux"]["cgroupsPath"] = Cgroup(id);
    spec["annotations"].update(annotations);
    EXPECT_OK(MakeDirs(Bundle(id)));
    EXPECT_OK(WriteFileAtomic(Bundle(id) + "/config.json", spec.dump()));
    EXPECT_EQ(::mkfifo((Bundle(id) + "/log").c_str(), 0700), 0);
    auto log = OpenFile(Bundle(id) + "/log", O_RDWR | O_NONBLOCK);
    EXPECT_OK(log);
    return log.ok() ? *std::move(log) : UniqueFd();
  }

  std::string Cgroup(const std::string& id) const {
    return absl::StrCat("/serai-start-test-", ::getpid(), "-", id);
  }

  absl::StatusOr<SubprocessResult> Run(const std::string& id,
                                       std::vector<std::string> words,
                                       std::vector<std::string> environment,
                                       const std::string& input = "") {
    SubprocessSpec spec;
    spec.program = BuildDir() + "/bin/containerd-shim-serai-v2";
    spec.args = {"-namespace",
                 "test",
                 "-address",
                 dir_ / "c.sock",
                 "-publish-binary",
                 "/usr/bin/containerd",
                 "-id",
                 id};
    spec.args.insert(spec.args.end(), words.begin(), words.end());
    spec.env = std::move(environment);
    spec.env.push_back(absl::StrCat("SERAI_SHIM_SOCKET_DIR=", dir_ / "s"));
    spec.directory = Bundle(id);
    spec.input = input;
    return RunSubprocess(spec);
  }

  // As 1.6; what it printed, on stdout and on stderr, as containerd reads it.
  std::string Start(const std::string& id) {
    return Start(id, {absl::StrCat("TTRPC_ADDRESS=", Ttrpc())});
  }
  std::string Start(const std::string& id, std::vector<std::string> environment,
                    const std::string& input = "") {
    const auto result = Run(id, {"start"}, std::move(environment), input);
    EXPECT_OK(result);
    if (!result.ok()) return "";
    EXPECT_EQ(result->exit_code, 0) << result->error_output;
    return result->output + result->error_output;
  }

  std::unique_ptr<ttrpc::Client> Connect(const std::string& address) {
    auto client = ttrpc::Client::Connect(address);
    EXPECT_OK(client);
    if (!client.ok()) return nullptr;
    const auto connected = ttrpc::TypedCall<task::ConnectResponse>(
        **client, ttrpc::kTaskService, "Connect", task::ConnectRequest(),
        Soon());
    EXPECT_OK(connected);
    if (connected.ok()) {
      auto shim = host::Pidfd::Open(static_cast<pid_t>(connected->shim_pid()));
      EXPECT_OK(shim);
      if (shim.ok()) shims_.push_back(*std::move(shim));
    }
    return *std::move(client);
  }

  template <typename Request>
  absl::Status Call(ttrpc::Client& client, const char* method,
                    const std::string& id) {
    Request request;
    request.set_id(id);
    if constexpr (std::is_same_v<Request, task::CreateTaskRequest>) {
      request.set_bundle(Bundle(id));
    }
    return client
        .Call(ttrpc::kTaskService, method, request.SerializeAsString(), Soon())
        .status();
  }

  absl::StatusOr<task::DeleteResponse> Delete(const std::string& id) {
    ASSIGN_OR_RETURN(const SubprocessResult result,
                     Run(id, {"-bundle", Bundle(id), "delete"}, {}));
    if (result.exit_code != 0) {
      return absl::UnknownError(result.error_output);
    }
    warnings_ = result.error_output;
    return ttrpc::ParseAnswer<task::DeleteResponse>(result.output);
  }

  bool Ended(const host::Pidfd& shim) {
    return shim.Wait(absl::Seconds(10)).value_or(false);
  }

  TempDir dir_;
  std::vector<host::Pidfd> shims_;
  std::string warnings_;  // of the last Delete()
};

TEST_F(StartTest, Containerd16GetsTheAddressAndFindsItAgain) {
  const UniqueFd log = MakeBundle("a");
  const std::string address = Start("a");
  EXPECT_THAT(address, StartsWith("unix://" + dir_ / "s/test-a-"));
  EXPECT_EQ(ReadFile(Bundle("a") + "/address", 200).value_or(""), address);
  EXPECT_FALSE(PathExists(Bundle("a") + "/shim.log"));
  ASSERT_NE(Connect(address), nullptr);
}

TEST_F(StartTest, Containerd17AndLaterGetJson) {
  const UniqueFd log = MakeBundle("a");
  const std::vector<std::string> environment = {
      absl::StrCat("TTRPC_ADDRESS=", Ttrpc()), "MAX_SHIM_VERSION=2",
      "NAMESPACE=test", "GOMAXPROCS=2"};
  const Json answer = Json::parse(Start("a", environment), nullptr, false);
  ASSERT_TRUE(answer.is_object());
  EXPECT_EQ(answer["version"], 2);
  EXPECT_EQ(answer["protocol"], "ttrpc");
  ASSERT_NE(Connect(answer["address"].get<std::string>()), nullptr);
  // A sandbox of the sandbox API, which is 2.0's, has no specification.
  ASSERT_OK(MakeDirs(Bundle("b")));
  const Json sandbox = Json::parse(Start("b", environment), nullptr, false);
  ASSERT_TRUE(sandbox.is_object());
  EXPECT_EQ(sandbox["version"], 3);
  ASSERT_NE(Connect(sandbox["address"].get<std::string>()), nullptr);
}

TEST_F(StartTest, Containerd23GetsProtobuf) {
  const UniqueFd log = MakeBundle("a");
  EventsServer events(Ttrpc());
  bootstrap::BootstrapParams params;
  params.set_instance_id("a");
  params.set_namespace_("test");
  params.set_containerd_ttrpc_address("unix://" + Ttrpc());
  bootstrap::BootstrapResult result;
  ASSERT_TRUE(result.ParseFromString(
      Start("a", {"MAX_SHIM_VERSION=2"}, params.SerializeAsString())));
  EXPECT_EQ(result.version(), 3);
  EXPECT_EQ(result.protocol(), "ttrpc");
  const auto client = Connect(result.address());
  ASSERT_NE(client, nullptr);
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "a"));
  EXPECT_THAT(events.Take(1), ElementsAre("/tasks/create a"));
}

TEST_F(StartTest, AnswersQuestions) {
  const auto ask = [&](const std::string& flag, const std::string& input) {
    SubprocessSpec spec;
    spec.program = BuildDir() + "/bin/containerd-shim-serai-v2";
    spec.args = {flag};
    spec.input = input;
    const auto result = RunSubprocess(spec);
    EXPECT_OK(result);
    EXPECT_EQ(result->exit_code, 0);
    return result->output;
  };
  EXPECT_THAT(ask("-v", ""), StartsWith("containerd-shim-serai-v2 "));
  wire::Any options;
  options.set_type_url("t");
  bootstrap::RuntimeInfo info;
  ASSERT_TRUE(info.ParseFromString(ask("-info", options.SerializeAsString())));
  EXPECT_EQ(info.options().type_url(), "t");
}

TEST_F(StartTest, TheContainersOfAPodShareItsSandboxsShim) {
  const Json pod = {{"io.kubernetes.cri.sandbox-id", "pod"}};
  const UniqueFd logs[] = {MakeBundle("pod", pod), MakeBundle("a", pod),
                           MakeBundle("b", pod), MakeBundle("alone")};
  const std::string address = Start("pod");
  EXPECT_EQ(Start("a"), address);
  EXPECT_EQ(Start("b"), address);
  EXPECT_EQ(ReadFile(Bundle("b") + "/address", 200).value_or(""), address);
  const std::string other = Start("alone");
  EXPECT_NE(other, address);
  ASSERT_NE(Connect(address), nullptr);
  ASSERT_NE(Connect(other), nullptr);
}

TEST_F(StartTest, IdsOf200CharactersAreServed) {
  const std::string one = std::string(199, 'x') + "1";
  const std::string two = std::string(199, 'x') + "2";
  const UniqueFd logs[] = {MakeBundle(one), MakeBundle(two)};
  const std::string address = Start(one);
  EXPECT_EQ(Start(one), address);
  const std::string other = Start(two);
  EXPECT_NE(other, address);
  ASSERT_NE(Connect(address), nullptr);
  ASSERT_NE(Connect(other), nullptr);
}

TEST_F(StartTest, ItsMessagesGoToContainerdAndNeverHoldItUp) {
  const UniqueFd log = MakeBundle("a");
  const std::string address = Start("a");
  const auto client = Connect(address);
  ASSERT_NE(client, nullptr);
  // An event that is refused is a message.
  std::string full(1 << 20, 'x');
  EXPECT_GT(::write(log.get(), full.data(), full.size()), 0);
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "a"));
  ASSERT_OK(Call<task::StartRequest>(*client, "Start", "a"));
  ASSERT_OK(Call<task::WaitRequest>(*client, "Wait", "a"));
  ASSERT_OK(RemoveTree(Bundle("a")));  // the record can't be removed: a message
  ASSERT_OK(Call<task::DeleteRequest>(*client, "Delete", "a"));
  ASSERT_OK(Call<task::ShutdownRequest>(*client, "Shutdown", "a"));
  EXPECT_TRUE(Ended(shims_[0]));
}

TEST_F(StartTest, EventsComeInOrderAlsoOverARestart) {
  const UniqueFd log = MakeBundle("a");
  const std::string address = Start("a");
  const auto client = Connect(address);
  ASSERT_NE(client, nullptr);
  // Nobody there yet.
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "a"));
  ASSERT_OK(Call<task::StartRequest>(*client, "Start", "a"));
  ASSERT_OK(Call<task::WaitRequest>(*client, "Wait", "a"));
  {
    EventsServer events(Ttrpc());
    EXPECT_THAT(events.Take(3), ElementsAre("/tasks/create a", "/tasks/start a",
                                            "/tasks/exit a"));
  }
  EventsServer events(Ttrpc());
  ASSERT_OK(Call<task::DeleteRequest>(*client, "Delete", "a"));
  // The shim ends, and not before this was told.
  ASSERT_OK(Call<task::ShutdownRequest>(*client, "Shutdown", "a"));
  EXPECT_TRUE(Ended(shims_[0]));
  EXPECT_THAT(events.Take(1), ElementsAre("/tasks/delete a"));
  EXPECT_FALSE(PathExists(std::string(absl::StripPrefix(address, "unix://"))));
}

TEST_F(StartTest, ItEndsAlsoWhenNobodyTakesItsEvents) {
  const UniqueFd log = MakeBundle("a");
  const auto client = Connect(Start("a"));
  ASSERT_NE(client, nullptr);
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "a"));
  ASSERT_OK(Call<task::DeleteRequest>(*client, "Delete", "a"));
  ASSERT_OK(Call<task::ShutdownRequest>(*client, "Shutdown", "a"));
  EXPECT_TRUE(Ended(shims_[0]));
}

TEST_F(StartTest, DeleteLeavesALiveShimsSocketAndItsOtherTasks) {
  SERAI_NEED("root");
  const Json pod = {{"io.kubernetes.cri.sandbox-id", "pod"}};
  const UniqueFd logs[] = {MakeBundle("pod", pod), MakeBundle("a", pod),
                           MakeBundle("b", pod)};
  const std::string address = Start("pod");
  Start("a");
  Start("b");
  const auto client = Connect(address);
  ASSERT_NE(client, nullptr);
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "a"));
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "b"));
  // Not deleted by its client: the shim does it.
  const auto deleted = Delete("a");
  ASSERT_OK(deleted);
  EXPECT_EQ(deleted->exit_status(), 128U + SIGKILL);
  EXPECT_EQ(warnings_, "");
  EXPECT_THAT(Call<task::StateRequest>(*client, "State", "a"),
              HasStatus(absl::StatusCode::kNotFound, "a"));
  EXPECT_OK(Call<task::StateRequest>(*client, "State", "b"));
  // As after every deletion by its client: nothing to do.
  EXPECT_OK(Delete("a"));
  EXPECT_OK(Delete("pod"));
  EXPECT_OK(Call<task::StateRequest>(*client, "State", "b"));
  EXPECT_TRUE(PathExists(std::string(absl::StripPrefix(address, "unix://"))));
  EXPECT_OK(Call<task::DeleteRequest>(*client, "Delete", "b"));
}

TEST_F(StartTest, DeleteAfterACrashKnowsTheExitStatus) {
  SERAI_NEED("root");
  const UniqueFd log = MakeBundle("a");
  const std::string address = Start("a");
  const auto client = Connect(address);
  ASSERT_NE(client, nullptr);
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "a"));
  ASSERT_OK(Call<task::StartRequest>(*client, "Start", "a"));
  ASSERT_OK(Call<task::WaitRequest>(*client, "Wait", "a"));
  ASSERT_OK(shims_[0].SendSignal(SIGKILL));
  ASSERT_TRUE(Ended(shims_[0]));
  const auto deleted = Delete("a");
  ASSERT_OK(deleted);
  EXPECT_EQ(deleted->exit_status(), 0U);
  EXPECT_GT(deleted->pid(), 0U);
  EXPECT_FALSE(PathExists(std::string(absl::StripPrefix(address, "unix://"))));
  const auto hierarchy = host::CgroupHierarchy::Detect();
  ASSERT_OK(hierarchy);
  EXPECT_FALSE(host::Cgroup::Open(*hierarchy, Cgroup("a"))->Exists());
}

TEST_F(StartTest, DeleteOfASandboxCleansUpTheWholePod) {
  SERAI_NEED("root");
  const Json pod = {{"io.kubernetes.cri.sandbox-id", "pod"}};
  const UniqueFd logs[] = {MakeBundle("pod", pod), MakeBundle("a", pod)};
  const auto client = Connect(Start("pod"));
  ASSERT_NE(client, nullptr);
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "a"));
  ASSERT_OK(shims_[0].SendSignal(SIGKILL));
  ASSERT_TRUE(Ended(shims_[0]));
  ASSERT_OK(Delete("pod"));
  const auto hierarchy = host::CgroupHierarchy::Detect();
  ASSERT_OK(hierarchy);
  EXPECT_FALSE(host::Cgroup::Open(*hierarchy, Cgroup("a"))->Exists());
  // And the container's own, should it be called after all.
  const auto deleted = Delete("a");
  ASSERT_OK(deleted);
  EXPECT_EQ(deleted->exit_status(), 128U + SIGKILL);
}

TEST_F(StartTest, DeleteCleansUpAfterADamagedRecord) {
  SERAI_NEED("root");
  const UniqueFd log = MakeBundle("a");
  const auto client = Connect(Start("a"));
  ASSERT_NE(client, nullptr);
  ASSERT_OK(Call<task::CreateTaskRequest>(*client, "Create", "a"));
  ASSERT_OK(shims_[0].SendSignal(SIGKILL));
  ASSERT_TRUE(Ended(shims_[0]));
  ASSERT_OK(WriteFileAtomic(Bundle("a") + "/serai-task.json", "{\"versio"));
  const auto deleted = Delete("a");
  ASSERT_OK(deleted);
  EXPECT_EQ(deleted->exit_status(), 128U + SIGKILL);
  EXPECT_THAT(warnings_, HasSubstr("damaged"));
  const auto hierarchy = host::CgroupHierarchy::Detect();
  ASSERT_OK(hierarchy);
  EXPECT_FALSE(host::Cgroup::Open(*hierarchy, Cgroup("a"))->Exists());
  // Nor does a damaged specification make it fail.
  ASSERT_OK(WriteFileAtomic(Bundle("a") + "/config.json", "["));
  EXPECT_OK(Delete("a"));
  EXPECT_THAT(warnings_, HasSubstr("no specification"));
}

TEST_F(StartTest, AStartThatCannotBeServedSaysWhy) {
  ASSERT_OK(MakeDirs(Bundle("a")));
  ASSERT_OK(WriteFileAtomic(Bundle("a") + "/config.json", "["));
  const auto bad = Run("a", {"start"}, {});
  ASSERT_OK(bad);
  EXPECT_EQ(bad->exit_code, 1);
  EXPECT_THAT(bad->error_output, HasSubstr("no specification"));
  const auto options = Run("a", {"start"}, {}, "\xff\xff");
  ASSERT_OK(options);
  EXPECT_EQ(options->exit_code, 1);
  EXPECT_THAT(options->error_output, HasSubstr("neither"));
}

}  // namespace
}  // namespace serai::shim
