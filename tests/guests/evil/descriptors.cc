// SPDX-License-Identifier: Apache-2.0
// Uses the descriptors of its devices (spt) for what they are not for.

#include "tests/guests/evil/evil.h"
#include "tests/guests/runtime/spt/system_call.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(NetDevice("service"), BlockDevice("storage"));

namespace {

constexpr OptionSpec kOptions[] = {kHowOption};

constexpr long kRead = 0;
constexpr long kWrite = 1;
constexpr long kClose = 3;
constexpr long kSeek = 8;
constexpr long kControl = 16;
constexpr long kPread = 17;
constexpr long kPwrite = 18;
constexpr long kDuplicate = 32;
constexpr long kTruncate = 77;
constexpr long kBlock = 512;
constexpr long kCapacity = 1 << 20;

char buffer[2 * kBlock];
long data;
long net;
long block;

void Tell(long result) { Print("evil: result ", result); }

constexpr Way kWays[] = {
    {"block-read", [] { Tell(SystemCall(kRead, block, data, kBlock)); }},
    {"block-write", [] { Tell(SystemCall(kWrite, block, data, kBlock)); }},
    {"block-seek", [] { Tell(SystemCall(kSeek, block, 0, 0)); }},
    {"block-close", [] { Tell(SystemCall(kClose, block)); }},
    {"block-truncate", [] { Tell(SystemCall(kTruncate, block, 0)); }},
    {"block-duplicate", [] { Tell(SystemCall(kDuplicate, block)); }},
    {"block-size",
     [] { Tell(SystemCall(kPread, block, data, 2 * kBlock, 0)); }},
    {"block-byte", [] { Tell(SystemCall(kPread, block, data, 1, 0)); }},
    {"block-size-high",
     [] { Tell(SystemCall(kPread, block, data, kBlock | 1L << 32, 0)); }},
    {"block-end",
     [] { Tell(SystemCall(kPread, block, data, kBlock, kCapacity)); }},
    {"block-last-byte",
     [] {
       Tell(SystemCall(kPwrite, block, data, kBlock, kCapacity - kBlock + 1));
     }},
    {"block-negative",
     [] { Tell(SystemCall(kPwrite, block, data, kBlock, -kBlock)); }},
    {"block-high",
     [] { Tell(SystemCall(kPwrite, block, data, kBlock, 1L << 32)); }},
    {"block-wild",
     [] { Tell(SystemCall(kPread, block, 1L << 46, kBlock, 0)); }},
    {"block-text",
     [] {
       Tell(
           SystemCall(kPread, block, reinterpret_cast<long>(&Main), kBlock, 0));
     }},
    {"net-pread", [] { Tell(SystemCall(kPread, net, data, kBlock, 0)); }},
    {"net-control", [] { Tell(SystemCall(kControl, net, 0x400454ca, data)); }},
    {"net-close", [] { Tell(SystemCall(kClose, net)); }},
    {"net-wild", [] { Tell(SystemCall(kWrite, net, 1L << 46, kBlock)); }},
    {"net-text",
     [] {
       Tell(SystemCall(kRead, net, reinterpret_cast<long>(&Main), kBlock));
     }},
};

}  // namespace

int Main() {
  const Options options("evil_descriptors", kOptions);
  data = reinterpret_cast<long>(buffer);
  net = FindDevice("service", kNetDevice).host_fd;
  block = FindDevice("storage", kBlockDevice).host_fd;
  return Misbehave(options, kWays);
}

}  // namespace serai::guest
