// SPDX-License-Identifier: Apache-2.0
// Networks of all shapes: what the cluster's plugins make, a guest takes over.
// The plugins are Debian's; those of Calico's and Cilium's shape, which Debian
// has not, are a script that makes and answers what these do.
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "nlohmann/json.hpp"
#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// A pair of links with a /32 and a /128, and a way out beside both. Calico
// tells of the addresses alone, and has its interfaces' routes speak for
// themselves; Cilium tells all.
constexpr char kRoutedPlugin[] = R"(#!/bin/sh -e
cat > "${0%/*}/input"
host=srtp$(printf %.8s "$CNI_CONTAINERID")
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
DEL) ip link delete "$host" 2> /dev/null || true ;;
ADD)
  ip link add "$host" type veth peer name "t$host"
  ip link set "t$host" netns "$CNI_NETNS"
  nsenter --net="$CNI_NETNS" sh -ec "
    ip link set t$host name $CNI_IFNAME
    ip address add 10.65.0.2/32 dev $CNI_IFNAME
    ip address add fd65::2/128 dev $CNI_IFNAME nodad
    ip link set $CNI_IFNAME up mtu 1450
    ip route add 169.254.1.1 dev $CNI_IFNAME scope link
    ip route add default via 169.254.1.1
    ip -6 route add fe80::ecee:eeff:feee:eeee dev $CNI_IFNAME
    ip -6 route add default via fe80::ecee:eeff:feee:eeee dev $CNI_IFNAME"
  ip link set "$host" up mtu 1450
  ip route add 10.65.0.2 dev "$host"
  ip -6 route add fd65::2 dev "$host"
  cat "${0%/*}/answer" ;;
esac
)";

constexpr char kCalicosAnswer[] = R"({"cniVersion":"1.0.0",
  "interfaces":[{"name":"cali0123456789a"}],
  "ips":[{"address":"10.65.0.2/32"},{"address":"fd65::2/128"}]})";

constexpr char kCiliumsAnswer[] = R"({"cniVersion":"1.0.0",
  "interfaces":[{"name":"eth0","sandbox":"/the/pod"}],
  "ips":[{"address":"10.65.0.2/32","gateway":"10.65.0.254","interface":0},
         {"address":"fd65::2/128","gateway":"fd65::fe","interface":0}],
  "routes":[{"dst":"10.65.0.254/32"},{"dst":"0.0.0.0/0","gw":"10.65.0.254"},
            {"dst":"fd65::fe/128"},{"dst":"::/0","gw":"fd65::fe"}]})";

// A further network, as Multus has Debian's bridge make it.
constexpr char kSecondNetwork[] = R"(#!/bin/sh -e
input=$(cat)
case $CNI_COMMAND in
VERSION) exec /usr/lib/cni/tuning ;;
CHECK) exit 0 ;;
esac
echo '{"cniVersion":"1.0.0","name":"second","type":"bridge","bridge":"srtsec",
  "mtu":9000,"ipam":{"type":"host-local","dataDir":"'"${0%/*}"'/ipam",
  "ranges":[[{"subnet":"10.66.0.0/24"}]]}}' |
  CNI_IFNAME=net1 /usr/lib/cni/bridge > /dev/null
[ "$CNI_COMMAND" != ADD ] || printf %s "$input" | exec /usr/lib/cni/tuning
)";

constexpr char kBridge[] = R"({"cniVersion":"1.0.0","name":"shape",
  "plugins":[{"type":"bridge","bridge":"srtshape",@MORE@
    "ipam":{"type":"host-local","dataDir":"@DIR@/ipam","ranges":[@RANGES@],
            "routes":[@ROUTES@]}}@CHAINED@]})";

class NetworksTest : public BadInputTest {
 protected:
  void StartWith(const std::string& conflist) {
    NodeOptions options;
    options.plugin_dir = plugins_.path();
    options.conflist =
        absl::StrReplaceAll(conflist, {{"@DIR@", plugins_.path()}});
    ASSERT_NO_FATAL_FAILURE(StartNode(std::move(options)));
    before_ = std::make_unique<LeakWatch>(*node_);
  }

  // A bridge of the words, each of which may be empty.
  static std::string Bridge(const std::string& ranges,
                            const std::string& routes,
                            const std::string& more = "\"isGateway\":true,",
                            const std::string& chained = "") {
    return absl::StrReplaceAll(kBridge, {{"@RANGES@", ranges},
                                         {"@ROUTES@", routes},
                                         {"@MORE@", more},
                                         {"@CHAINED@", chained}});
  }

  void StartRouted(const std::string& answer) {
    // The node's own address: the pod's pair has none at the node's end.
    ASSERT_NO_FATAL_FAILURE(
        Sh("ip address add 10.65.9.1/32 dev lo;"
           "ip address add fd65:9::1/128 dev lo nodad"));
    ASSERT_OK(WriteFileAtomic(plugins_ / "routed", kRoutedPlugin, 0755));
    ASSERT_OK(WriteFileAtomic(plugins_ / "answer", answer));
    StartWith(R"({"cniVersion":"1.0.0","name":"routed",
                  "plugins":[{"type":"routed"}]})");
  }

  static void Sh(const std::string& script) {
    SubprocessSpec spec;
    spec.program = "/bin/sh";
    spec.args = {"-ec", script};
    spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    ASSERT_OK_AND_ASSIGN(const SubprocessResult result, RunSubprocess(spec));
    ASSERT_EQ(result.exit_code, 0) << script << ": " << result.error_output;
  }

  TestNode::Running RunGuest(const std::string& guest,
                             const cri::PodSandboxConfig& config) {
    TestNode::Running run;
    const auto image = node_->LoadGuests(guest, {guest + ".spt"});
    const auto pod = node_->RunPod(config);
    EXPECT_OK(image);
    EXPECT_OK(pod);
    if (!image.ok() || !pod.ok()) return run;
    run.pod = *pod;
    const auto container =
        node_->Create(*pod, node_->ContainerConfig(*image, {}));
    EXPECT_OK(container);
    if (!container.ok()) return run;
    run.container = *container;
    EXPECT_OK(node_->StartContainer(*container));
    return run;
  }
  TestNode::Running RunWeb() {
    return RunGuest("web", node_->PodConfig("web"));
  }

  std::vector<std::string> IpsOf(const std::string& pod) {
    std::vector<std::string> ips;
    const auto status = node_->PodStatusOf(pod);
    EXPECT_OK(status);
    if (!status.ok()) return ips;
    ips.push_back(status->network().ip());
    for (const auto& more : status->network().additional_ips()) {
      ips.push_back(more.ip());
    }
    return ips;
  }

  // What the guest was told.
  std::vector<std::string> ArgsOf(const std::string& container) {
    cri::ContainerStatusRequest request;
    request.set_container_id(container);
    request.set_verbose(true);
    const auto status = CallCri(
        node_->runtime(), &cri::RuntimeService::Stub::ContainerStatus, request);
    EXPECT_OK(status);
    if (!status.ok()) return {};
    const auto info = nlohmann::json::parse(status->info().at("info"));
    return info.at("runtimeSpec").at("process").at("args");
  }

  void ExpectAnswers(const std::vector<std::string>& ips) {
    for (const std::string& ip : ips) {
      ASSERT_OK_AND_ASSIGN(const std::string page, HttpGetRetried(ip, 80, "/"));
      EXPECT_THAT(page, HasSubstr(absl::StrCat("at ", ips.front())));
    }
  }

  void RemoveAndExpectNothingLeft(const std::string& pod) {
    EXPECT_OK(node_->RemovePod(pod));
    ExpectNothingLeft();
  }
  // But for images, and what is known of them.
  void ExpectNothingLeft() {
    for (const std::string& leak : before_->Leaks()) {
      EXPECT_THAT(leak,
                  AnyOf(HasSubstr("/root/images/"), HasSubstr("/root/options"),
                        HasSubstr("/root/unpacked/")));
    }
  }

  const TempDir plugins_;

 private:
  std::unique_ptr<LeakWatch> before_;
};

TEST_F(NetworksTest, ARoutedPodThatIsToldAsCalicoTells) {
  ASSERT_NO_FATAL_FAILURE(StartRouted(kCalicosAnswer));
  const auto web = RunWeb();
  EXPECT_EQ(IpsOf(web.pod), (std::vector<std::string>{"10.65.0.2", "fd65::2"}));
  ExpectAnswers({"10.65.0.2", "fd65::2"});
  EXPECT_THAT(ArgsOf(web.container),
              AllOf(Contains("--ipv4=10.65.0.2/32"),
                    Contains("--ipv4-gateway=169.254.1.1"),
                    Contains("--ipv6=fd65::2/128"),
                    Contains("--ipv6-gateway=fe80::ecee:eeff:feee:eeee")));
  RemoveAndExpectNothingLeft(web.pod);
}

TEST_F(NetworksTest, ARoutedPodThatIsToldAsCiliumTells) {
  ASSERT_NO_FATAL_FAILURE(StartRouted(kCiliumsAnswer));
  const auto web = RunWeb();
  ExpectAnswers({"10.65.0.2", "fd65::2"});
  EXPECT_THAT(ArgsOf(web.container),
              AllOf(Contains("--ipv4-gateway=10.65.0.254"),
                    Contains("--ipv6-gateway=fd65::fe")));
  RemoveAndExpectNothingLeft(web.pod);
}

TEST_F(NetworksTest, APointToPointPair) {
  ASSERT_NO_FATAL_FAILURE(StartWith(
      R"({"cniVersion":"1.0.0","name":"ptp","plugins":[{"type":"ptp",
          "ipam":{"type":"host-local","dataDir":"@DIR@/ipam",
                  "ranges":[[{"subnet":"10.67.0.0/24"}]],
                  "routes":[{"dst":"0.0.0.0/0"}]}}]})"));
  const auto web = RunWeb();
  ExpectAnswers(IpsOf(web.pod));
  EXPECT_THAT(ArgsOf(web.container), Contains("--ipv4-gateway=10.67.0.1"));
  RemoveAndExpectNothingLeft(web.pod);
}

TEST_F(NetworksTest, AMacvlanInterface) {
  ASSERT_NO_FATAL_FAILURE(
      Sh("ip link add srtm0 type veth peer name srtm1;"
         "ip link set srtm0 up; ip link set srtm1 up;"
         "ip address add 10.68.0.1/24 dev srtm1"));
  ASSERT_NO_FATAL_FAILURE(StartWith(
      R"({"cniVersion":"1.0.0","name":"mac","plugins":[{"type":"macvlan",
          "master":"srtm0","ipam":{"type":"host-local","dataDir":"@DIR@/ipam",
          "ranges":[[{"subnet":"10.68.0.0/24","rangeStart":"10.68.0.7"}]]}}]})"));
  const auto web = RunWeb();
  ExpectAnswers(IpsOf(web.pod));
  RemoveAndExpectNothingLeft(web.pod);
}

TEST_F(NetworksTest, StaticAddressesOfBothFamilies) {
  ASSERT_NO_FATAL_FAILURE(StartWith(
      R"({"cniVersion":"1.0.0","name":"static","plugins":[{"type":"bridge",
          "bridge":"srtstat","isGateway":true,"ipam":{"type":"static",
          "addresses":[{"address":"10.69.0.7/24","gateway":"10.69.0.1"},
                       {"address":"fd69::7/64","gateway":"fd69::1"}],
          "routes":[{"dst":"0.0.0.0/0"},{"dst":"10.9.0.0/16"}]}}]})"));
  const auto web = RunWeb();
  EXPECT_EQ(IpsOf(web.pod), (std::vector<std::string>{"10.69.0.7", "fd69::7"}));
  ExpectAnswers({"10.69.0.7", "fd69::7"});
  RemoveAndExpectNothingLeft(web.pod);
}

TEST_F(NetworksTest, APodWithIpv6Only) {
  ASSERT_NO_FATAL_FAILURE(
      StartWith(Bridge(R"([{"subnet":"fd70::/64"}])", R"({"dst":"::/0"})")));
  const auto web = RunWeb();
  ExpectAnswers(IpsOf(web.pod));
  EXPECT_THAT(ArgsOf(web.container),
              AllOf(Contains("--ipv6-gateway=fd70::1"),
                    Not(Contains(HasSubstr("--ipv4=")))));
  RemoveAndExpectNothingLeft(web.pod);
}

TEST_F(NetworksTest, DualStackWithSeveralAddressesOfAFamily) {
  // The plugin gives its bridge one address of a family.
  ASSERT_NO_FATAL_FAILURE(
      Sh("ip link add srtshape type bridge; ip link set srtshape up;"
         "ip address add 10.71.0.1/24 dev srtshape;"
         "ip address add 10.72.0.1/24 dev srtshape;"
         "ip address add fd71::1/64 dev srtshape nodad"));
  ASSERT_NO_FATAL_FAILURE(StartWith(
      Bridge(R"([{"subnet":"10.71.0.0/24"}],[{"subnet":"10.72.0.0/24"}],
                [{"subnet":"fd71::/64"}])",
             R"({"dst":"0.0.0.0/0","gw":"10.71.0.1"},{"dst":"::/0"})", "")));
  const auto web = RunWeb();
  const auto ips = IpsOf(web.pod);
  ASSERT_EQ(ips.size(), 3u);
  // A MirageOS guest has one address of each family.
  ExpectAnswers({ips[0], ips[2]});
  RemoveAndExpectNothingLeft(web.pod);
}

TEST_F(NetworksTest, PortmapBandwidthFirewallAndTuningInAChain) {
  ASSERT_NO_FATAL_FAILURE(StartWith(
      Bridge(R"([{"subnet":"10.73.0.0/24"}])", R"({"dst":"0.0.0.0/0"})",
             R"("isGateway":true,"ipMasq":true,"hairpinMode":true,)",
             R"(,{"type":"portmap","capabilities":{"portMappings":true}},
          {"type":"bandwidth","ingressRate":8000000,"ingressBurst":800000,
           "egressRate":8000000,"egressBurst":800000},
          {"type":"firewall"},
          {"type":"tuning","mac":"02:00:00:00:73:01","mtu":1300})")));
  const auto web = RunWeb();
  ExpectAnswers(IpsOf(web.pod));
  // 1 MB at 1 MB/s, but for what may come at once.
  const absl::Time start = absl::Now();
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       HttpGet(IpsOf(web.pod).front(), 80, "/bytes?n=1000000",
                               absl::Seconds(20)));
  EXPECT_GT(bytes.size(), 1000000u);
  EXPECT_GT(absl::Now() - start, absl::Milliseconds(500));
  EXPECT_OK(node_->RemovePod(web.pod));
}

class MtuTest : public NetworksTest,
                public ::testing::WithParamInterface<int> {};

INSTANTIATE_TEST_SUITE_P(Networks, MtuTest, ::testing::Values(1280, 9000));

TEST_P(MtuTest, TheMtuIsTheGuestsToo) {
  ASSERT_NO_FATAL_FAILURE(StartWith(
      Bridge(R"([{"subnet":"10.74.0.0/24"}])", R"({"dst":"0.0.0.0/0"})",
             absl::StrCat("\"isGateway\":true,\"mtu\":", GetParam(), ","))));
  const auto web = RunWeb();
  const std::string ip = IpsOf(web.pod).front();
  ExpectAnswers({ip});
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       HttpGet(ip, 80, "/bytes?n=100000"));
  EXPECT_GT(bytes.size(), 100000u);
  // Frames of just that size arrive, and are not fragmented.
  Sh(absl::StrCat("ping -c 1 -W 5 -M do -s ", GetParam() - 28, " ", ip));
  RemoveAndExpectNothingLeft(web.pod);
}

class SecondNetworkTest : public NetworksTest {
 protected:
  void StartWithTwo() {
    ASSERT_OK(WriteFileAtomic(plugins_ / "second", kSecondNetwork, 0755));
    StartWith(Bridge(R"([{"subnet":"10.75.0.0/24"}])", R"({"dst":"0.0.0.0/0"})",
                     R"("isGateway":true,)", R"(,{"type":"second"})"));
  }
};

TEST_F(SecondNetworkTest, ASecondInterfaceIsTheSecondDevices) {
  ASSERT_NO_FATAL_FAILURE(StartWithTwo());
  const auto run = RunGuest("twonets", node_->PodConfig("two"));
  ASSERT_OK(node_->WaitExited(run.container));
  ASSERT_OK_AND_ASSIGN(const std::string log, LogOf(run.container));
  EXPECT_THAT(log, HasSubstr("MTU 1500"));
  EXPECT_THAT(log, AllOf(HasSubstr("management: handle 2"),
                         HasSubstr("MTU 9000"), HasSubstr("SUCCESS")));
  EXPECT_THAT(ArgsOf(run.container),
              AllOf(Contains(HasSubstr("--ipv4=10.75.0.")),
                    Contains(HasSubstr("--management-ipv4=10.66.0."))));
  RemoveAndExpectNothingLeft(run.pod);
}

TEST_F(SecondNetworkTest, AnAnnotationGivesADeviceItsInterface) {
  ASSERT_NO_FATAL_FAILURE(StartWithTwo());
  cri::PodSandboxConfig config = node_->PodConfig("two");
  (*config.mutable_annotations())["serai.dev/net.management"] = "eth0";
  const auto run = RunGuest("twonets", config);
  EXPECT_THAT(ArgsOf(run.container),
              AllOf(Contains(HasSubstr("--ipv4=10.66.0.")),
                    Contains(HasSubstr("--management-ipv4=10.75.0."))));
  RemoveAndExpectNothingLeft(run.pod);
}

TEST_F(SecondNetworkTest, AnInterfaceWithoutADeviceIsTold) {
  ASSERT_NO_FATAL_FAILURE(StartWithTwo());
  const auto web = RunWeb();
  ExpectAnswers(IpsOf(web.pod));
  EXPECT_THAT(node_->DaemonLog(), HasSubstr("interface net1 has no device"));
  RemoveAndExpectNothingLeft(web.pod);
}

TEST_F(NetworksTest, ADeviceWithoutAnInterfaceIsRefused) {
  ASSERT_NO_FATAL_FAILURE(StartWith(
      Bridge(R"([{"subnet":"10.76.0.0/24"}])", R"({"dst":"0.0.0.0/0"})")));
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("twonets", {"twonets.spt"}));
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("two"));
  EXPECT_THAT(node_->Create(pod, node_->ContainerConfig(image, {})),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "device \"management\" has nothing to attach"));
  RemoveAndExpectNothingLeft(pod);
}

class SharedInterfaceTest : public NetworksTest {
 protected:
  void StartShared() {
    ASSERT_NO_FATAL_FAILURE(StartWith(
        Bridge(R"([{"subnet":"10.81.0.0/24"}],[{"subnet":"fd81::/64"}])",
               R"({"dst":"0.0.0.0/0"},{"dst":"::/0"})")));
    ASSERT_OK_AND_ASSIGN(image_, node_->LoadGuests("web", {"web.spt"}));
    ASSERT_OK_AND_ASSIGN(pod_, node_->RunPod("shared"));
  }

  // As kubelet asks for a container with this port.
  absl::StatusOr<std::string> Create(const std::string& name, int port,
                                     const std::string& declared,
                                     unsigned attempt = 0) {
    cri::ContainerConfig config = node_->ContainerConfig(
        image_, {absl::StrCat("--port=", port), absl::StrCat("--name=", name)});
    config.mutable_metadata()->set_name(name);
    config.mutable_metadata()->set_attempt(attempt);
    config.set_log_path(absl::StrCat("c/", name, attempt, ".log"));
    if (!declared.empty()) {
      (*config.mutable_annotations())["io.kubernetes.container.ports"] =
          declared;
    }
    return node_->Create(pod_, config);
  }
  static std::string Declared(int port) {
    return absl::StrCat(R"([{"name":"http","containerPort":)", port,
                        R"(,"protocol":"TCP"}])");
  }

  void ExpectAnswer(int port, const std::string& name) {
    for (const std::string& ip : IpsOf(pod_)) {
      ASSERT_OK_AND_ASSIGN(const std::string page,
                           HttpGetRetried(ip, port, "/"));
      EXPECT_THAT(page, HasSubstr(absl::StrCat("called ", name)));
    }
  }

  std::string image_;
  std::string pod_;
};

TEST_F(SharedInterfaceTest, UnikernelsOfAPodAreToldApartByTheirPorts) {
  ASSERT_NO_FATAL_FAILURE(StartShared());
  ASSERT_OK_AND_ASSIGN(const std::string one, Create("one", 80, ""));
  ASSERT_OK(node_->StartContainer(one));
  ExpectAnswer(80, "one");
  ASSERT_OK_AND_ASSIGN(const std::string two,
                       Create("two", 8080, Declared(8080)));
  ASSERT_OK(node_->StartContainer(two));
  ASSERT_OK_AND_ASSIGN(const std::string three,
                       Create("three", 9090, Declared(9090)));
  ASSERT_OK(node_->StartContainer(three));
  ExpectAnswer(8080, "two");
  ExpectAnswer(9090, "three");
  ExpectAnswer(80, "one");
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       HttpGet(IpsOf(pod_).front(), 8080, "/bytes?n=1000000"));
  EXPECT_GT(bytes.size(), 1000000u);
  RemoveAndExpectNothingLeft(pod_);
}

TEST_F(SharedInterfaceTest, AContainerThatComesBackHasItsPortAgain) {
  ASSERT_NO_FATAL_FAILURE(StartShared());
  // The first one needs to declare none.
  const std::map<std::string, std::pair<int, std::string>> kinds = {
      {"one", {80, ""}}, {"two", {8080, Declared(8080)}}};
  std::map<std::string, std::string> ids;
  unsigned attempt = 0;
  const auto start = [&](const std::string& name) {
    const auto& [port, declared] = kinds.at(name);
    ASSERT_OK_AND_ASSIGN(ids[name], Create(name, port, declared, attempt));
    ASSERT_OK(node_->StartContainer(ids[name]));
  };
  const auto expect_both = [&] {
    ExpectAnswer(80, "one");
    ExpectAnswer(8080, "two");
  };
  for (const char* name : {"one", "two"}) {
    ASSERT_NO_FATAL_FAILURE(start(name));
  }
  expect_both();
  // Each by itself, then both: the second comes back first.
  for (const std::vector<std::string>& names :
       std::vector<std::vector<std::string>>{
           {"two"}, {"one"}, {"two", "one"}}) {
    ++attempt;
    for (const std::string& name : names) {
      ASSERT_OK(node_->StopContainer(ids[name], 0));
    }
    for (const std::string& name : names) {
      ASSERT_NO_FATAL_FAILURE(start(name));
    }
    expect_both();
  }
  // Without the first one the pod's address is known on.
  ASSERT_OK(node_->StopContainer(ids["one"], 0));
  Sh("ip neighbour flush dev srtshape");
  ExpectAnswer(8080, "two");
  RemoveAndExpectNothingLeft(pod_);
}

TEST_F(SharedInterfaceTest, UnikernelsThatCantBeToldApartAreRefused) {
  ASSERT_NO_FATAL_FAILURE(StartShared());
  ASSERT_OK(Create("one", 80, Declared(80)).status());
  EXPECT_THAT(Create("two", 80, Declared(80)),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "containers \"one\" and \"two\" both declare port 80"));
  EXPECT_THAT(Create("two", 8080, ""),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "container \"two\" shares interface eth0 with \"one\" "
                        "and declares no ports"));
  EXPECT_THAT(Create("two", 8080, R"([{"containerPort":"http"}])"),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "is no port with a number"));
  // Another protocol's port is another port.
  EXPECT_OK(Create("two", 8080, R"([{"containerPort":80,"protocol":"UDP"}])")
                .status());
  RemoveAndExpectNothingLeft(pod_);
}

TEST_F(NetworksTest, TwoWaysOutAreRefused) {
  ASSERT_OK(WriteFileAtomic(plugins_ / "mode", "good"));
  ASSERT_OK(WriteFileAtomic(plugins_ / "ways", R"sh(#!/bin/sh
input=$(cat)
if [ "$CNI_COMMAND" = ADD ] && [ "$(cat "${0%/*}/mode")" = bad ]; then
  printf %s "$input" | /usr/lib/cni/tuning |
    sed '/"routes"/s/\[/[{"dst":"0.0.0.0\/0","gw":"10.77.0.9"},/'
else
  printf %s "$input" | exec /usr/lib/cni/tuning
fi
)sh",
                            0755));
  ASSERT_NO_FATAL_FAILURE(
      StartWith(Bridge(R"([{"subnet":"10.77.0.0/24"}])",
                       R"({"dst":"0.0.0.0/0","gw":"10.77.0.1"})",
                       R"("isGateway":true,)", R"(,{"type":"ways"})")));
  ASSERT_OK(WriteFileAtomic(plugins_ / "mode", "bad"));
  EXPECT_THAT(node_->RunPod("two"),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "two default gateways, 10.77.0.9 and 10.77.0.1"));
  EXPECT_TRUE(node_->Pods().empty());
  ExpectNothingLeft();
}

TEST_F(NetworksTest, AnInterfaceThatVanishesIsRefused) {
  ASSERT_OK(WriteFileAtomic(plugins_ / "mode", "good"));
  ASSERT_OK(WriteFileAtomic(plugins_ / "vanish", R"sh(#!/bin/sh
if [ "$CNI_COMMAND" = ADD ] && [ "$(cat "${0%/*}/mode")" = bad ]; then
  nsenter --net="$CNI_NETNS" ip link delete "$CNI_IFNAME"
  tr -d '\n' | sed 's/.*"prevResult"://; s/,"type":"vanish".*//'
  exit 0
fi
exec /usr/lib/cni/tuning
)sh",
                            0755));
  ASSERT_NO_FATAL_FAILURE(
      StartWith(Bridge(R"([{"subnet":"10.78.0.0/24"}])", "",
                       R"("isGateway":true,)", R"(,{"type":"vanish"})")));
  ASSERT_OK(WriteFileAtomic(plugins_ / "mode", "bad"));
  const auto pod = node_->RunPod("pod");
  EXPECT_THAT(pod, HasStatus(absl::StatusCode::kFailedPrecondition,
                             "setting up the network: the network plugins told "
                             "of an interface eth0 and left none"));
  EXPECT_TRUE(node_->Pods().empty());
  ExpectNothingLeft();
}

TEST_F(NetworksTest, AnAnswerWithoutAnAddressIsRefused) {
  ASSERT_NO_FATAL_FAILURE(StartRouted(kCalicosAnswer));
  ASSERT_OK(WriteFileAtomic(
      plugins_ / "answer",
      R"({"cniVersion":"1.0.0","interfaces":[{"name":"cali0"}]})"));
  EXPECT_THAT(node_->RunPod("pod"),
              HasStatus(absl::StatusCode::kUnknown, "no address for eth0"));
  EXPECT_TRUE(node_->Pods().empty());
  ExpectNothingLeft();
}

TEST_F(NetworksTest, AConfigurationThatChangesLeavesRunningPodsTheirs) {
  ASSERT_NO_FATAL_FAILURE(StartWith(
      Bridge(R"([{"subnet":"10.79.0.0/24"}])", R"({"dst":"0.0.0.0/0"})")));
  const auto before = RunWeb();
  const std::string conf_dir = JoinPath(node_->directory(), "net.d");
  ASSERT_OK_AND_ASSIGN(const auto files, ListDir(conf_dir));
  ASSERT_EQ(files.size(), 1u);
  ASSERT_OK(WriteFileAtomic(
      JoinPath(conf_dir, files[0]),
      absl::StrReplaceAll(
          Bridge(R"([{"subnet":"10.80.0.0/24"}])", R"({"dst":"0.0.0.0/0"})"),
          {{"@DIR@", plugins_ / "other"}, {"srtshape", "srtother"}})));
  ASSERT_OK_AND_ASSIGN(const std::string after, node_->RunPod("after"));
  EXPECT_THAT(IpsOf(after), Contains(HasSubstr("10.80.0.")));
  ExpectAnswers(IpsOf(before.pod));
  EXPECT_OK(node_->RemovePod(before.pod));
  EXPECT_OK(node_->RemovePod(after));
  EXPECT_TRUE(ListDir(plugins_ / "ipam/shape")->size() <= 2);
}

}  // namespace
}  // namespace serai::testing
