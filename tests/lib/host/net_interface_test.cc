// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "lib/base/subprocess.h"
#include "lib/host/interface.h"
#include "lib/host/netns.h"
#include "lib/host/tap.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A namespace of the test's own, with pairs of veth links for interfaces.
class InterfaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("net");
    ASSERT_OK(CreateNetns(dir_ / "pod"));
    ASSERT_OK_AND_ASSIGN(pod_, OpenNetns(dir_ / "pod"));
  }
  void TearDown() override {
    pod_.reset();
    EXPECT_OK(RemoveNetns(dir_ / "pod"));
  }

  // Runs a command line in the namespace.
  void Run(const std::string& line) {
    EXPECT_OK(RunInNetns(pod_.get(), [&]() -> absl::Status {
      SubprocessSpec spec;
      spec.program = "/bin/sh";
      spec.args = {"-ec", line};
      spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
      ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
      EXPECT_EQ(result.exit_code, 0) << line << ": " << result.error_output;
      return absl::OkStatus();
    }));
  }
  // Without the duplicate address detection, in which an address has a second's
  // doubtful life.
  void AddLink(const std::string& name) {
    Run("ip link add " + name + " type veth peer name p-" + name +
        "; echo 0 > /proc/sys/net/ipv6/conf/" + name +
        "/accept_dad; ip link set " + name + " up; ip link set p-" + name +
        " up");
  }

  TempDir dir_;
  UniqueFd pod_;
};

TEST_F(InterfaceTest, TellsAddressesAndGatewaysOfBothFamilies) {
  AddLink("eth0");
  AddLink("net1");
  Run("ip link set eth0 address 02:00:00:00:0a:0b mtu 1400;"
      "ip address add 10.1.0.7/24 dev eth0;"
      "ip address add 10.1.0.8/24 dev eth0;"
      "ip address add 169.254.9.9/16 scope link dev eth0;"
      "ip address add fd00::7/64 dev eth0;"
      "ip address add 10.2.0.7/24 dev net1;"
      "ip route add default via 10.1.0.9 metric 200;"
      "ip route add default via 10.1.0.1 metric 100;"
      "ip route add default via 10.2.0.1 metric 50;"
      "ip route add 10.9.0.0/16 via 10.1.0.4;"
      "ip route add default via 10.1.0.5 table 7;"
      "ip route add default via fd00::1");
  ASSERT_OK_AND_ASSIGN(const auto all, ListInterfaces(pod_.get()));
  ASSERT_EQ(all.size(), 4u);  // with the peers, which stand here too
  const Interface& found = all[0];
  EXPECT_EQ(found.name, "eth0");
  EXPECT_EQ(found.mac, "02:00:00:00:0a:0b");
  EXPECT_EQ(found.mtu, 1400U);
  // Not the second of a subnet, which is the first's understudy.
  EXPECT_THAT(found.addresses,
              ElementsAre(InterfaceAddress{"10.1.0.7", 24, "10.1.0.1"},
                          InterfaceAddress{"fd00::7", 64, "fd00::1"}));
}

TEST_F(InterfaceTest, TakesAnotherThatIsUpWhereThereIsNoEth0) {
  AddLink("net1");
  Run("ip link set net1 down; ip link set p-net1 down");
  EXPECT_THAT(ListInterfaces(pod_.get()),
              HasStatus(absl::StatusCode::kNotFound, "there are: lo, "));
  AddLink("net2");
  Run("ip link set p-net2 down; ip link add wg0 type ipip local 1.2.3.4 "
      "2> /dev/null || true");
  ASSERT_OK_AND_ASSIGN(const auto found, ListInterfaces(pod_.get()));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "net2");
  EXPECT_THAT(found[0].addresses, IsEmpty());
}

TEST_F(InterfaceTest, DoesNotTakeATap) {
  Run("ip tuntap add eth0 mode tap; ip link set eth0 up");
  EXPECT_THAT(ListInterfaces(pod_.get()),
              HasStatus(absl::StatusCode::kNotFound, "eth0"));
}

TEST_F(InterfaceTest, ReadsAWayOutThatIsBesideTheSubnet) {
  AddLink("eth0");
  Run("ip address add 10.1.0.7/32 dev eth0;"
      "ip route add 169.254.1.1 dev eth0 scope link;"
      "ip route add default via 169.254.1.1 dev eth0");
  ASSERT_OK_AND_ASSIGN(const auto found, ListInterfaces(pod_.get()));
  EXPECT_THAT(found[0].addresses,
              ElementsAre(InterfaceAddress{"10.1.0.7", 32, "169.254.1.1"}));
}

TEST_F(InterfaceTest, TellsAllInTheOrderOfTheirNumbers) {
  for (const std::string name : {"net10", "net2", "eth0", "net1"}) {
    AddLink(name);
    Run("ip link set p-" + name + " down");
  }
  ASSERT_OK_AND_ASSIGN(const auto found, ListInterfaces(pod_.get()));
  std::vector<std::string> names;
  for (const Interface& interface : found) names.push_back(interface.name);
  EXPECT_THAT(names, ElementsAre("eth0", "net1", "net2", "net10"));
}

TEST_F(InterfaceTest, EachHasItsOwnWayOut) {
  AddLink("eth0");
  AddLink("net1");
  Run("ip link set p-eth0 down; ip link set p-net1 down;"
      "ip address add 10.1.0.7/24 dev eth0;"
      "ip address add 10.2.0.7/24 dev net1;"
      "ip route add default via 10.1.0.1");
  ASSERT_OK_AND_ASSIGN(const auto found, ListInterfaces(pod_.get()));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_THAT(found[0].addresses,
              ElementsAre(InterfaceAddress{"10.1.0.7", 24, "10.1.0.1"}));
  EXPECT_THAT(found[1].addresses,
              ElementsAre(InterfaceAddress{"10.2.0.7", 24, ""}));
}

}  // namespace
}  // namespace serai::host
