// SPDX-License-Identifier: Apache-2.0
// Frames that a guest may send to a DHCP server.
#include "shim/dhcp_message.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::shim;  // NOLINT(google-build-using-namespace)
  const auto request = ParseDhcpRequest(serai::fuzz::Text(data, size));
  if (!request) return 0;
  DhcpFacts facts;
  facts.client_mac = request->mac;
  facts.address = 0x0a000002;
  facts.prefix_length = 32;
  facts.gateway = facts.server = 0xa9fe0101;
  facts.dns_servers.assign(8, 0x0a60000a);
  facts.hostname = std::string(63, 'x');
  facts.mtu = 1500;
  const auto answer = DhcpAnswer(*request, facts);
  if (!answer) return 0;
  FUZZ_CHECK(answer->size() >= 14 + 20 + 8 + 300);
  FUZZ_CHECK(answer->size() <= kMaxDhcpFrame);
  // Nobody takes a server's words for a client's.
  FUZZ_CHECK(!ParseDhcpRequest(*answer));
  return 0;
}
