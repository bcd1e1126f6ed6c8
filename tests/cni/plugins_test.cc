// SPDX-License-Identifier: Apache-2.0
// The client with Debian's plugins and the tap, in namespaces of the test's
// own: the plugins are started in "node", so that their bridge, their packet
// filter rules and their sysctls are that namespace's and end with it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "cni/network.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/host/netns.h"
#include "lib/host/tap.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tap_peer.h"
#include "tests/support/temp_dir.h"

namespace serai::cni {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::OpenTap;
using ::serai::testing::TapPeer;
using ::serai::testing::TempDir;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kBridge[] =
    R"({"type":"bridge","bridge":"serai-test0","isGateway":true,"ipMasq":true,
        "hairpinMode":true,
        "ipam":{"type":"host-local","dataDir":"@DIR@/leases",
                "ranges":[[{"subnet":"10.88.0.0/24"}]],
                "routes":[{"dst":"0.0.0.0/0"}]}})";
constexpr char kPortmap[] =
    R"({"type":"portmap","capabilities":{"portMappings":true}})";
constexpr char kFirewall[] = R"({"type":"firewall","backend":"iptables"})";

class PluginsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("net");
    for (const char* name : {"node", "pod"}) {
      ASSERT_OK(host::CreateNetns(dir_ / name));
    }
    ASSERT_OK_AND_ASSIGN(node_, host::OpenNetns(dir_ / "node"));
    ASSERT_OK_AND_ASSIGN(pod_, host::OpenNetns(dir_ / "pod"));
    ASSERT_OK(MakeDirs(dir_ / "conf"));
    options_.conf_dir = dir_ / "conf";
    options_.bin_dirs = {"/usr/lib/cni", dir_ / "bin"};
    options_.cache_dir = dir_ / "cache";
    client_ = std::make_unique<Client>(options_);
  }

  void TearDown() override {
    node_.reset();
    pod_.reset();
    for (const char* name : {"pod", "node"}) {
      EXPECT_OK(host::RemoveNetns(dir_ / name));
    }
  }

  void Configure(const std::vector<std::string>& plugins) {
    std::string list;
    for (const std::string& plugin : plugins) {
      absl::StrAppend(&list, list.empty() ? "" : ",", plugin);
    }
    ASSERT_OK(WriteFileAtomic(
        dir_ / "conf/10-test.conflist",
        absl::StrReplaceAll(
            absl::StrCat(R"({"cniVersion":"1.0.0","name":"serai-test",)",
                         R"("plugins":[)", list, "]}"),
            {{"@DIR@", dir_.path()}})));
  }

  absl::Status OnNode(absl::FunctionRef<absl::Status()> work) {
    return host::RunInNetns(node_.get(), work);
  }
  absl::StatusOr<Result> Add(const Attachment& attachment) {
    Result result;
    RETURN_IF_ERROR(OnNode([&]() -> absl::Status {
      ASSIGN_OR_RETURN(result, client_->Add(attachment));
      return absl::OkStatus();
    }));
    return result;
  }
  absl::Status Del(const std::string& id) {
    return OnNode([&] { return client_->Del(id); });
  }

  // What a command prints in the node's or the pod's namespace.
  std::string Run(const UniqueFd& netns, const std::string& line) {
    std::string output;
    EXPECT_OK(host::RunInNetns(netns.get(), [&]() -> absl::Status {
      SubprocessSpec spec;
      spec.program = "/bin/sh";
      spec.args = {"-c", line};
      spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
      ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
      EXPECT_EQ(result.exit_code, 0) << line << ": " << result.error_output;
      output = result.output;
      return absl::OkStatus();
    }));
    return output;
  }

  // Everything a pod can leave behind.
  std::string State() {
    return absl::StrCat(
        Run(node_,
            "ip -o link | cut -d: -f2; "
            "iptables-save | grep -v '^[#:]'"),
        Run(pod_, "ip -o link | cut -d: -f2"),
        Run(node_, "ls " + (dir_ / "leases/serai-test") +
                       " | grep -v '^l' || true; ls " + (dir_ / "cache")));
  }

  std::unique_ptr<TapPeer> StartGuest(const host::Tap& tap,
                                      const std::string& ip) {
    UniqueFd fd;
    EXPECT_OK(host::RunInNetns(pod_.get(), [&] {
      fd = OpenTap("serai0");
      return absl::OkStatus();
    }));
    return std::make_unique<TapPeer>(std::move(fd), tap.mac, ip,
                                     static_cast<size_t>(tap.mtu));
  }

  // Sends `data` to the echo port at an address of the node's or the pod's.
  std::string Echo(const std::string& ip, uint16_t port,
                   const std::string& data) {
    std::string received;
    EXPECT_OK(OnNode([&]() -> absl::Status {
      const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const timeval limit = {10, 0};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      sockaddr_in to = {};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      ::inet_pton(AF_INET, ip.c_str(), &to.sin_addr);
      if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to),
                    sizeof to) != 0) {
        return ErrnoStatus(errno, "connect");
      }
      RETURN_IF_ERROR(WriteAll(fd.get(), data));
      ::shutdown(fd.get(), SHUT_WR);
      ASSIGN_OR_RETURN(received, ReadAll(fd.get(), data.size() + 1));
      return absl::OkStatus();
    }));
    return received;
  }

  // A pod before the others, for what the plugins make once for all.
  void WarmUp() {
    Attachment pod = Pod("warmup");
    pod.port_mappings = {{8079, 7, "tcp", ""}};
    ASSERT_OK(Add(pod));
    ASSERT_OK(Del("warmup"));
  }

  Attachment Pod(const std::string& id) {
    Attachment attachment;
    attachment.container_id = id;
    attachment.netns = dir_ / "pod";
    attachment.pod_name = "web";
    attachment.pod_namespace = "default";
    return attachment;
  }

  TempDir dir_;
  UniqueFd node_;
  UniqueFd pod_;
  Options options_;
  std::unique_ptr<Client> client_;
};

TEST_F(PluginsTest, AGuestIsReachedThroughBridgeFirewallAndMappedPort) {
  Configure({kBridge, kFirewall, kPortmap});
  ASSERT_OK(OnNode([&] { return client_->Ready(); }));
  WarmUp();
  const std::string before = State();

  Attachment pod = Pod("pod1");
  pod.port_mappings = {{8080, 7, "tcp", ""}, {0, 53, "udp", ""}};
  ASSERT_OK_AND_ASSIGN(const Result result, Add(pod));
  ASSERT_EQ(result.ips.size(), 1U);
  const std::string ip = result.ips[0].address;
  EXPECT_THAT(ip, StartsWith("10.88.0."));
  EXPECT_EQ(result.ips[0].prefix_length, 24);
  EXPECT_EQ(result.ips[0].gateway, "10.88.0.1");
  ASSERT_OK_AND_ASSIGN(const host::Tap tap, host::CreateTap(pod_.get(), {}));
  EXPECT_EQ(tap.mac, result.mac);
  {
    const auto guest = StartGuest(tap, ip);
    EXPECT_THAT(Run(node_, "ping -c 1 -W 5 " + ip + " || true"),
                HasSubstr(" 0% packet loss"));
    EXPECT_EQ(Echo(ip, 7, "hello"), "hello");
    const std::string data(200000, 'd');
    EXPECT_TRUE(Echo("10.88.0.1", 8080, data) == data);
    EXPECT_EQ(guest->seen().bad_checksums, 0U);
    EXPECT_LE(guest->seen().longest, 1514U);
  }
  EXPECT_OK(host::RemoveTap(pod_.get(), {}));
  EXPECT_OK(Del("pod1"));
  EXPECT_EQ(State(), before);
}

TEST_F(PluginsTest, DelWorksWithTheTapInPlaceAndAfterTheNamespaceIsGone) {
  Configure({kBridge, kFirewall, kPortmap});
  WarmUp();
  const std::string before = State();
  ASSERT_OK(Add(Pod("pod1")));
  ASSERT_OK(host::CreateTap(pod_.get(), {}));
  EXPECT_OK(Del("pod1"));
  EXPECT_OK(host::RemoveTap(pod_.get(), {}));
  EXPECT_EQ(State(), before);

  ASSERT_OK(host::CreateNetns(dir_ / "short-lived"));
  Attachment pod = Pod("pod2");
  pod.netns = dir_ / "short-lived";
  pod.port_mappings = {{8080, 7, "tcp", ""}};
  ASSERT_OK(Add(pod));
  ASSERT_OK(host::RemoveNetns(dir_ / "short-lived"));
  EXPECT_OK(Del("pod2"));
  // The kernel takes the veth pair of a namespace that ends in its own time.
  std::string links;
  for (int i = 0; i < 200; ++i) {
    links = Run(node_, "ip -o link");
    if (!absl::StrContains(links, "veth")) break;
    absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_THAT(links, Not(HasSubstr("veth")));
  EXPECT_THAT(Run(node_, "ls " + (dir_ / "leases/serai-test")),
              Not(HasSubstr("10.88")));
  // Not the masquerading rules: the bridge plugin (1.1.1) looks in the
  // namespace for the addresses they are about.
  EXPECT_THAT(Run(node_, "iptables-save -t nat"), Not(HasSubstr("8080")));
  EXPECT_THAT(Run(node_, "iptables-save -t filter"), Not(HasSubstr("10.88")));
}

TEST_F(PluginsTest, CheckSeesAnInterfaceThatIsGone) {
  Configure({kBridge, kFirewall});
  ASSERT_OK(Add(Pod("pod1")));
  EXPECT_OK(OnNode([&] { return client_->Check("pod1"); }));
  Run(pod_, "ip link delete eth0");
  EXPECT_THAT(OnNode([&] { return client_->Check("pod1"); }),
              HasStatus(absl::StatusCode::kUnknown, "plugin bridge: CHECK: "));
  EXPECT_OK(Del("pod1"));
}

TEST_F(PluginsTest, AFailureInTheChainFreesTheLeaseAndTheRules) {
  ASSERT_OK(MakeDirs(dir_ / "bin"));
  ASSERT_OK(WriteFileAtomic(
      dir_ / "bin/broken",
      "#!/bin/sh\ncase $CNI_COMMAND in\n"
      "VERSION) echo '{\"supportedVersions\":[\"1.0.0\"]}';;\n"
      "ADD) echo '{\"code\":999,\"msg\":\"broken\"}'; exit 1;;\nesac\n",
      0755));
  Configure({kBridge, kFirewall, kPortmap});
  WarmUp();
  const std::string before = State();
  Configure({kBridge, kFirewall, kPortmap, R"({"type":"broken"})"});
  Attachment pod = Pod("pod1");
  pod.port_mappings = {{8080, 7, "tcp", ""}};
  EXPECT_THAT(Add(pod), HasStatus(absl::StatusCode::kUnknown,
                                  "plugin broken: ADD: broken (code 999)"));
  EXPECT_EQ(State(), before);
}

}  // namespace
}  // namespace serai::cni
