// SPDX-License-Identifier: Apache-2.0
// serai-tap with Debian's plugins, called as a runtime calls it: in namespaces
// of the test's own, "node", where the plugins run, and "pod" and "other".

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/host/interface.h"
#include "lib/host/netns.h"
#include "lib/host/pod_tap.h"
#include "lib/host/tap_guard.h"
#include "tests/guests/testing/guest_network.h"
#include "tests/guests/testing/guest_process.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tap_peer.h"
#include "tests/support/temp_dir.h"

namespace serai::cni {
namespace {

using ::nlohmann::json;
using ::serai::testing::BuildDir;
using ::serai::testing::GuestProcess;
using ::serai::testing::GuestSpec;
using ::serai::testing::OpenTap;
using ::serai::testing::TapPeer;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Of the configurations below.
constexpr char kHostLocal[] =
    R"("ipam":{"type":"host-local","dataDir":"@DIR@/leases",
        "ranges":[[{"subnet":"10.88.0.0/24"}],[{"subnet":"fd00:88::/64"}]],
        "routes":[{"dst":"0.0.0.0/0"}]})";

struct Answer {
  int exit_code = -1;
  json said;  // null: nothing
};

class TapPluginTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("net");
    for (const char* name : {"node", "pod", "other"}) {
      ASSERT_OK(host::CreateNetns(dir_ / name));
    }
    ASSERT_OK_AND_ASSIGN(node_, host::OpenNetns(dir_ / "node"));
    ASSERT_OK_AND_ASSIGN(pod_, host::OpenNetns(dir_ / "pod"));
  }

  void TearDown() override {
    node_.reset();
    pod_.reset();
    for (const char* name : {"pod", "other", "node"}) {
      EXPECT_OK(host::RemoveNetns(dir_ / name));
    }
  }

  static absl::StatusOr<SubprocessResult> RunOn(const UniqueFd& netns,
                                                const SubprocessSpec& spec) {
    SubprocessResult result;
    RETURN_IF_ERROR(host::RunInNetns(netns.get(), [&]() -> absl::Status {
      ASSIGN_OR_RETURN(result, RunSubprocess(spec));
      return absl::OkStatus();
    }));
    return result;
  }

  static std::string Shell(const UniqueFd& netns, const std::string& line) {
    SubprocessSpec spec;
    spec.program = "/bin/sh";
    spec.args = {"-c", line};
    spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    const auto result = RunOn(netns, spec);
    EXPECT_OK(result.status());
    EXPECT_EQ(result->exit_code, 0) << line << ": " << result->error_output;
    return result->output;
  }

  // Calls a plugin for the attachment of "pod", or of another container.
  Answer Call(const std::string& type, const std::string& command,
              const json& config, const std::string& container = "pod",
              const std::vector<std::string>& more_env = {}) {
    SubprocessSpec spec;
    spec.program = type == "serai-tap" ? JoinPath(BuildDir(), "bin/serai-tap")
                                       : JoinPath("/usr/lib/cni", type);
    spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "CNI_COMMAND=" + command,
                "CNI_CONTAINERID=" + container,
                "CNI_NETNS=" + (dir_ / container),
                "CNI_IFNAME=eth0",
                "CNI_PATH=/usr/lib/cni"};
    // Of two with a name, a program finds the first.
    spec.env.insert(spec.env.begin(), more_env.begin(), more_env.end());
    spec.input = config.dump();
    spec.directory = "/";
    const auto result = RunOn(node_, spec);
    EXPECT_OK(result.status());
    EXPECT_EQ(result->error_output, "") << type << " " << command;
    Answer answer = {result->exit_code, nullptr};
    if (!result->output.empty()) answer.said = json::parse(result->output);
    return answer;
  }

  // The configuration of a network called "net".
  json Config(const std::string& type, const std::string& members,
              const std::string& version = "1.0.0") {
    json config = json::parse(absl::StrReplaceAll(
        absl::StrCat("{", members, "}"), {{"@DIR@", dir_.path()}}));
    config["cniVersion"] = version;
    config["name"] = "net";
    config["type"] = type;
    return config;
  }
  json Direct(const std::string& version = "1.0.0") {
    return Config(
        "serai-tap",
        absl::StrCat(R"("bridge":"br0","isGateway":true,)", kHostLocal),
        version);
  }

  // The result of a plugin's ADD.
  json Added(const json& config, const std::string& container = "pod",
             const std::vector<std::string>& more_env = {}) {
    const Answer answer =
        Call(config["type"], "ADD", config, container, more_env);
    EXPECT_EQ(answer.exit_code, 0) << answer.said;
    return answer.said;
  }
  static json With(json config, const json& previous) {
    config["prevResult"] = previous;
    return config;
  }

  // Everything that a pod can leave behind.
  std::string State() {
    return absl::StrCat(
        Shell(node_, "ip -o link | cut -d: -f2"),
        Shell(pod_, "ip -o link | cut -d: -f2"),
        Shell(node_, "ls " + (dir_ / "leases/net") + " | grep '^[1f]'||true"));
  }

  std::unique_ptr<TapPeer> Peer(const UniqueFd& netns, const std::string& tap,
                                const std::string& mac, const std::string& ip) {
    UniqueFd fd;
    EXPECT_OK(host::RunInNetns(netns.get(), [&] {
      fd = OpenTap(tap);
      return absl::OkStatus();
    }));
    EXPECT_TRUE(fd.valid()) << tap;
    return std::make_unique<TapPeer>(std::move(fd), mac, ip);
  }

  bool Pings(const std::string& address) {
    return absl::StrContains(
        Shell(node_, "ping -c 1 -W 5 " + address + " || true"),
        " 0% packet loss");
  }

  // Starts our web server on a tap in `netns`, and asks it from the node.
  std::string AskGuest(const UniqueFd& netns, const std::string& tap,
                       const std::string& mac, const std::string& address) {
    std::string answer;
    std::unique_ptr<GuestProcess> guest;
    // On this thread, with which the guest ends.
    const auto own = host::OpenNetns("/proc/thread-self/ns/net");
    EXPECT_OK(own.status());
    EXPECT_EQ(::setns(netns.get(), CLONE_NEWNET), 0);
    guest = std::make_unique<GuestProcess>(
        GuestSpec{"web",
                  "spt",
                  {"--net:service=" + tap, "--net-mac:service=" + mac},
                  {"--ipv4=" + address + "/24"}});
    EXPECT_EQ(::setns(own->get(), CLONE_NEWNET), 0);
    EXPECT_TRUE(guest->WaitForOutput("web: listening")) << guest->Output();
    EXPECT_OK(host::RunInNetns(node_.get(), [&] {
      const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const timeval limit = {10, 0};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      sockaddr_in to = {};
      to.sin_family = AF_INET;
      to.sin_port = htons(80);
      ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
      if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to),
                    sizeof to) != 0) {
        return ErrnoStatus(errno, "connect");
      }
      answer = testing::Exchange(fd.get(),
                                 "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
      return absl::OkStatus();
    }));
    return answer;
  }

  TempDir dir_;
  UniqueFd node_;
  UniqueFd pod_;
};

TEST_F(TapPluginTest, MakesATapOnABridgeAndThePodsInterface) {
  const json result = Added(Direct());
  ASSERT_EQ(result["interfaces"].size(), 3U) << result;
  EXPECT_EQ(result["interfaces"][0]["name"], "br0");
  const std::string tap = result["interfaces"][1]["name"];
  EXPECT_THAT(tap, StartsWith("tap"));
  EXPECT_LE(tap.size(), 15U);
  EXPECT_EQ(result["interfaces"][2]["name"], "eth0");
  EXPECT_EQ(result["interfaces"][2]["sandbox"], dir_ / "pod");
  EXPECT_EQ(result["ips"][0]["address"], "10.88.0.2/24");
  EXPECT_EQ(result["ips"][0]["gateway"], "10.88.0.1");
  EXPECT_EQ(result["ips"][0]["interface"], 2);
  EXPECT_EQ(result["ips"][1]["address"], "fd00:88::2/64");
  const std::string mac = result["interfaces"][2]["mac"];

  ASSERT_OK_AND_ASSIGN(const auto interfaces, host::ListInterfaces(pod_.get()));
  ASSERT_EQ(interfaces.size(), 1U);
  EXPECT_EQ(interfaces[0].name, "eth0");
  EXPECT_EQ(interfaces[0].mac, mac);
  EXPECT_EQ(interfaces[0].tap, tap);
  EXPECT_TRUE(interfaces[0].tap_on_node);
  EXPECT_THAT(interfaces[0].addresses,
              ElementsAre(host::InterfaceAddress{"10.88.0.2", 24, "10.88.0.1"},
                          host::InterfaceAddress{"fd00:88::2", 64, ""}));

  const auto peer = Peer(node_, tap, mac, "10.88.0.2");
  EXPECT_TRUE(Pings("10.88.0.2"));
  EXPECT_THAT(Shell(node_, "ip neighbour show 10.88.0.2"), HasSubstr(mac));
}

TEST_F(TapPluginTest, ATapOnABridgeIsGuarded) {
  const json result = Added(Direct());
  const std::string tap = result["interfaces"][1]["name"];
  // The peer has the pod's MAC and another's address.
  const auto peer =
      Peer(node_, tap, result["interfaces"][2]["mac"], "10.88.0.3");
  EXPECT_FALSE(Pings("10.88.0.3"));
  EXPECT_GT(peer->seen().ours, 0U);
  uint64_t forged = 0;
  EXPECT_OK(host::RunInNetns(node_.get(), [&]() -> absl::Status {
    ASSIGN_OR_RETURN(forged, host::ReadForgedFrames(-1, tap));
    return absl::OkStatus();
  }));
  EXPECT_GT(forged, 0U);
}

TEST_F(TapPluginTest, EveryVersionHasItsFormOfTheResult) {
  for (const char* version : {"0.3.0", "0.3.1", "0.4.0", "1.0.0"}) {
    const json config = Direct(version);
    const json result = Added(config);
    EXPECT_EQ(result["cniVersion"], version);
    EXPECT_EQ(result["ips"][0].contains("version"),
              absl::StartsWith(version, "0."))
        << result;
    EXPECT_EQ(Call("serai-tap", "DEL", With(config, result)).exit_code, 0);
  }
}

TEST_F(TapPluginTest, AddAgainGivesTheSame) {
  for (const char* version : {"0.4.0", "1.0.0"}) {
    json config = Direct(version);
    config["isDefaultGateway"] = true;
    json first = Added(config);
    const std::string state = State();
    const json second = Added(config);
    EXPECT_EQ(State(), state);
    EXPECT_EQ(second["ips"], first["ips"]);
    EXPECT_EQ(second["interfaces"], first["interfaces"]);
    EXPECT_EQ(second["routes"].size(), first["routes"].size());
    EXPECT_EQ(Call("serai-tap", "DEL", config).exit_code, 0);
  }
}

TEST_F(TapPluginTest, AddGoesOnFromHalfOfOne) {
  const json config = Direct();
  const json first = Added(config);
  Shell(pod_, "ip link delete eth0");
  const json second = Added(config);
  EXPECT_EQ(second["interfaces"][1]["name"], first["interfaces"][1]["name"]);
  EXPECT_EQ(Call("serai-tap", "CHECK", With(config, second)).exit_code, 0);
}

TEST_F(TapPluginTest, DelTakesAllButTheBridgeAndCanBeRepeated) {
  const json config = Direct();
  Added(config, "other");
  const std::string before = State();
  const json result = Added(config);
  EXPECT_NE(State(), before);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Call("serai-tap", "DEL", With(config, result)).exit_code, 0);
    EXPECT_EQ(State(), before);
  }
  // Without its namespace, and without one that was ever there.
  Added(config);
  pod_.reset();
  EXPECT_OK(host::RemoveNetns(dir_ / "pod"));
  EXPECT_EQ(Call("serai-tap", "DEL", config).exit_code, 0);
  EXPECT_EQ(Call("serai-tap", "DEL", config, "pod", {"CNI_NETNS="}).exit_code,
            0);
  EXPECT_THAT(Shell(node_, "ip -o link"), HasSubstr("br0"));
  EXPECT_EQ(Shell(node_, "ip -o link show type tun | wc -l"), "1\n");
  ASSERT_OK(host::CreateNetns(dir_ / "pod"));
  ASSERT_OK_AND_ASSIGN(pod_, host::OpenNetns(dir_ / "pod"));
}

TEST_F(TapPluginTest, AFailedAddLeavesNothing) {
  Added(Direct(), "other");
  const std::string before = State();
  Shell(pod_, "ip link add eth0 type veth peer name eth1");
  const Answer answer = Call("serai-tap", "ADD", Direct());
  EXPECT_EQ(answer.exit_code, 1);
  EXPECT_EQ(answer.said["code"], 999) << answer.said;
  Shell(pod_, "ip link delete eth0");
  EXPECT_EQ(State(), before);
}

TEST_F(TapPluginTest, CheckFindsWhatIsMissing) {
  const json config = Direct();
  const json result = Added(config);
  const json check = With(config, result);
  EXPECT_EQ(Call("serai-tap", "CHECK", check).exit_code, 0);
  const std::string tap = result["interfaces"][1]["name"];
  for (const auto& [break_it, mend] :
       std::vector<std::pair<std::string, std::string>>{
           {"ip link set " + tap + " nomaster",
            "ip link set " + tap + " master br0"},
           {"tc qdisc delete dev " + tap + " ingress", ""}}) {
    Shell(node_, break_it);
    const Answer broken = Call("serai-tap", "CHECK", check);
    EXPECT_EQ(broken.exit_code, 1) << break_it;
    if (!mend.empty()) {
      Shell(node_, mend);
      EXPECT_EQ(Call("serai-tap", "CHECK", check).exit_code, 0);
    }
  }
  Call("serai-tap", "DEL", config);
  Added(config);
  Shell(pod_, "ip address flush dev eth0");
  EXPECT_THAT(Call("serai-tap", "CHECK", check).said["msg"],
              HasSubstr("lost its address"));
  Shell(pod_, "ip link delete eth0");
  EXPECT_EQ(Call("serai-tap", "CHECK", check).exit_code, 1);
  Shell(node_, "ip link delete " + tap);
  EXPECT_EQ(Call("serai-tap", "CHECK", check).exit_code, 1);
}

TEST_F(TapPluginTest, StaticAddressesOfBothFamilies) {
  const json config = Config(
      "serai-tap",
      R"("bridge":"br0","mtu":1400,"hairpinMode":true,"ipam":{"type":"static",
          "addresses":[{"address":"10.1.2.3/16","gateway":"10.1.0.1"},
                       {"address":"10.1.2.4/16"},
                       {"address":"fd00::5/64","gateway":"fd00::1"}],
          "routes":[{"dst":"0.0.0.0/0"},{"dst":"192.0.2.0/24","gw":"10.1.0.9"},
                    {"dst":"::/0"}]})");
  const json result =
      Added(config, "pod", {"CNI_ARGS=IgnoreUnknown=1;MAC=02:00:00:00:00:07"});
  EXPECT_EQ(result["interfaces"][2]["mac"], "02:00:00:00:00:07");
  const std::string tap = result["interfaces"][1]["name"];
  EXPECT_THAT(Shell(pod_, "ip address show eth0"),
              AllOf(HasSubstr("10.1.2.3/16"), HasSubstr("10.1.2.4/16"),
                    HasSubstr("fd00::5/64"), HasSubstr("mtu 1400"),
                    HasSubstr("02:00:00:00:00:07")));
  EXPECT_THAT(Shell(pod_, "ip route; ip -6 route"),
              AllOf(HasSubstr("default via 10.1.0.1"),
                    HasSubstr("192.0.2.0/24 via 10.1.0.9"),
                    HasSubstr("default via fd00::1")));
  EXPECT_THAT(Shell(node_, "ip -d link show " + tap),
              AllOf(HasSubstr("hairpin on"), HasSubstr("mtu 1400")));
  // No gateway was asked for.
  EXPECT_EQ(Shell(node_, "ip -4 address show br0"), "");
  EXPECT_EQ(Call("serai-tap", "CHECK", With(config, result)).exit_code, 0);
  EXPECT_EQ(Call("serai-tap", "DEL", With(config, result)).exit_code, 0);
}

TEST_F(TapPluginTest, PluginsBehindItFindThePodsInterface) {
  const json config = Direct();
  json result = Added(config);
  result = Added(
      With(Config("portmap",
                  R"("capabilities":{"portMappings":true},"runtimeConfig":{
                 "portMappings":[{"hostPort":8080,"containerPort":80,
                                  "protocol":"tcp"}]})"),
           result));
  result = Added(With(Config("firewall", R"("backend":"iptables")"), result));
  result = Added(With(
      Config("tuning", R"("sysctl":{"net.ipv4.conf.eth0.log_martians":"1"})"),
      result));
  EXPECT_EQ(result["ips"][0]["address"], "10.88.0.2/24");
  EXPECT_THAT(Shell(node_, "iptables-save -t nat"), HasSubstr("10.88.0.2:80"));
}

TEST_F(TapPluginTest, GcTakesWhatIsNotValidAndOfThisNetwork) {
  const json config = Direct("1.0.0");
  const std::string mine = Added(config)["interfaces"][1]["name"];
  const std::string lost = Added(config, "other")["interfaces"][1]["name"];
  Shell(node_,
        "ip tuntap add tap0123456789ab mode tap && ip link set "
        "dev tap0123456789ab alias serai-tap-of:net2:other:eth0");
  json gc = Config("serai-tap",
                   R"("bridge":"br0","ipam":{"type":"ipam"},
                      "cni.dev/valid-attachments":[
                        {"containerID":"pod","ifname":"eth0"}])",
                   "1.1.0");
  // An IPAM plugin of today's: host-local is older than GC.
  ASSERT_OK(WriteFileAtomic(
      dir_ / "ipam", "#!/bin/sh\ncat > " + (dir_ / "asked") + "\n", 0700));
  const std::vector<std::string> path = {"CNI_PATH=" + dir_.path()};
  EXPECT_EQ(Call("serai-tap", "GC", gc, "pod", path).exit_code, 0);
  const std::string links = Shell(node_, "ip -o link");
  EXPECT_THAT(links, HasSubstr(mine));
  EXPECT_THAT(links, HasSubstr("tap0123456789ab"));
  EXPECT_THAT(links, Not(HasSubstr(lost)));
  EXPECT_EQ(json::parse(ReadFile(dir_ / "asked", 1 << 16).value_or("")), gc);

  EXPECT_EQ(Call("serai-tap", "STATUS", gc, "pod", path).exit_code, 0);
  gc.erase("cni.dev/valid-attachments");
  EXPECT_EQ(Call("serai-tap", "GC", gc, "pod", path).said["code"], 7);
  ASSERT_OK(WriteFileAtomic(
      dir_ / "ipam", "#!/bin/sh\necho '{\"code\":50,\"msg\":\"full\"}'; exit 1",
      0700));
  const Answer status = Call("serai-tap", "STATUS", gc, "pod", path);
  EXPECT_EQ(status.said["code"], 50);
  EXPECT_THAT(status.said["msg"], HasSubstr("full"));
}

TEST_F(TapPluginTest, ChainedBehindOthersItWiresATapInThePod) {
  for (const std::string type : {"bridge", "ptp"}) {
    const json first = Added(Config(
        type, absl::StrCat(R"("bridge":"br1","isGateway":true,)", kHostLocal)));
    const json config = Config("serai-tap", "");
    const json result = Added(With(config, first));
    json expected = first["interfaces"];
    expected.push_back({{"name", "serai0"},
                        {"mac", result["interfaces"].back()["mac"]},
                        {"sandbox", dir_ / "pod"}});
    EXPECT_EQ(result["interfaces"], expected);
    EXPECT_EQ(result["ips"], first["ips"]);
    EXPECT_EQ(Added(With(config, result)), result);
    EXPECT_EQ(Call("serai-tap", "CHECK", With(config, result)).exit_code, 0);

    ASSERT_OK_AND_ASSIGN(const auto interfaces,
                         host::ListInterfaces(pod_.get()));
    ASSERT_EQ(interfaces.size(), 1U);
    ASSERT_OK_AND_ASSIGN(const host::PodTap tap,
                         host::TakeInterface(pod_.get(), interfaces[0],
                                             "unused", {"10.88.0.2"}));
    EXPECT_EQ(tap.name, "serai0");
    EXPECT_FALSE(tap.made);
    const std::string address = first["ips"][0]["address"];
    auto peer =
        Peer(pod_, tap.name, tap.mac, address.substr(0, address.find('/')));
    // As in the second round, whose lease is the next.
    EXPECT_EQ(Pings(address.substr(0, address.find('/'))),
              absl::StartsWith(address, "10.88.0.2/"));
    peer.reset();

    Shell(pod_, "tc qdisc delete dev serai0 ingress");
    EXPECT_THAT(Call("serai-tap", "CHECK", With(config, result)).said["msg"],
                HasSubstr("filter"));
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(Call("serai-tap", "DEL", With(config, result)).exit_code, 0);
      EXPECT_THAT(Shell(pod_, "ip -o link; tc filter show dev eth0 ingress"),
                  AllOf(Not(HasSubstr("serai0")), Not(HasSubstr("mirred"))));
    }
    EXPECT_EQ(Call("serai-tap", "CHECK", With(config, result)).exit_code, 1);
    Call(type, "DEL",
         With(Config(type, absl::StrCat(R"("bridge":"br1",)", kHostLocal)),
              first));
  }
}

TEST_F(TapPluginTest, AGuestAnswersOnATapOnABridge) {
  const json result = Added(Direct());
  EXPECT_THAT(AskGuest(node_, result["interfaces"][1]["name"],
                       result["interfaces"][2]["mac"], "10.88.0.2"),
              StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(TapPluginTest, AGuestAnswersOnAChainedTap) {
  const json first =
      Added(Config("bridge", absl::StrCat(R"("bridge":"br1","isGateway":true,)",
                                          kHostLocal)));
  const json result = Added(With(Config("serai-tap", ""), first));
  EXPECT_THAT(
      AskGuest(pod_, "serai0", result["interfaces"].back()["mac"], "10.88.0.2"),
      StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(TapPluginTest, TellsItsVersions) {
  for (const char* asked : {"1.1.0", "0.1.0"}) {
    const Answer answer = Call("serai-tap", "VERSION", {{"cniVersion", asked}});
    EXPECT_EQ(answer.exit_code, 0);
    EXPECT_EQ(answer.said["cniVersion"], "1.1.0");
    EXPECT_EQ(answer.said["supportedVersions"],
              json({"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}));
  }
}

TEST_F(TapPluginTest, SaysWhatIsWrongByTheSpecificationsCodes) {
  const json good = Direct();
  const auto code = [&](const json& config,
                        const std::vector<std::string>& env = {}) {
    const Answer answer = Call("serai-tap", "ADD", config, "pod", env);
    EXPECT_EQ(answer.exit_code, 1) << answer.said;
    EXPECT_TRUE(answer.said["msg"].is_string());
    return answer.said["code"].get<int>();
  };
  EXPECT_EQ(code(Direct("0.2.0")), 1);
  EXPECT_EQ(code(json::array()), 6);
  EXPECT_EQ(code(Config("serai-tap", "")), 7);
  EXPECT_EQ(code(With(good, {{"ips", json::array()}})), 7);
  EXPECT_EQ(code(good, {"CNI_COMMAND=ADDD"}), 4);
  EXPECT_EQ(code(good, {"CNI_CONTAINERID=../x"}), 4);
  EXPECT_EQ(code(good, {"CNI_IFNAME=eth0/../x"}), 4);
  EXPECT_EQ(code(good, {"CNI_NETNS="}), 4);
  EXPECT_EQ(code(good, {"CNI_NETNS=/proc/self/ns/net"}), 4);
  EXPECT_EQ(code(good, {"CNI_NETNS=/nowhere"}), 3);
  EXPECT_EQ(code(good, {"CNI_ARGS=MAC=me"}), 4);
  for (const char* member :
       {R"("bridge":"a/b")", R"("bridge":7)", R"("mtu":1)", R"("mtu":"big")",
        R"("isGateway":"yes")", R"("ipam":{})",
        R"("hairpinMode":true,"promiscMode":true)",
        R"("ipam":{"type":"nobody"})"}) {
    json bad = good;
    bad.update(json::parse(absl::StrCat("{", member, "}")));
    EXPECT_EQ(code(bad), 7) << member;
  }
  for (const char* member : {R"("ipMasq":true)", R"("vlan":5)"}) {
    json bad = good;
    bad.update(json::parse(absl::StrCat("{", member, "}")));
    EXPECT_EQ(code(bad), 2) << member;
  }
  EXPECT_EQ(Shell(node_, "ip -o link | wc -l"), "1\n");
}

}  // namespace
}  // namespace serai::cni
