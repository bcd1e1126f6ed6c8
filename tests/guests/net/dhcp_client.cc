// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/dhcp_client.h"

#include "tests/guests/net/bytes.h"
#include "tests/guests/net/checksum.h"
#include "tests/guests/net/interface.h"

namespace serai::guest {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kIp = 20;
constexpr size_t kUdp = 8;
constexpr size_t kMessage = kEthernet + kIp + kUdp;
constexpr size_t kOptions = 240;  // of a message
constexpr size_t kFrame = 1514;
constexpr uint32_t kCookie = 0x63825363;
constexpr uint32_t kTransaction = 0x5e4a1234;
constexpr Ipv4Address kNobody = {0};
constexpr Ipv4Address kEverybody = {0xffffffff};

enum Type : uint8_t { kDiscover = 1, kOffer, kRequest, kDecline, kAck, kNak };

std::byte out[kFrame];
std::byte in[kFrame];

class Options {
 public:
  explicit Options(std::byte* at) : at_(at) {}
  void Add8(uint8_t code, uint8_t value) {
    Head(code, 1);
    Put8(at_++, value);
  }
  void Add32(uint8_t code, uint32_t value) {
    Head(code, 4);
    Put32(at_, value);
    at_ += 4;
  }
  void AddWishes() {
    constexpr uint8_t kWishes[] = {1, 3, 6, 12, 26, 121};
    Head(55, sizeof(kWishes));
    for (const uint8_t wish : kWishes) Put8(at_++, wish);
  }
  std::byte* End() {
    Put8(at_++, 255);
    return at_;
  }

 private:
  void Head(uint8_t code, uint8_t size) {
    Put8(at_++, code);
    Put8(at_++, size);
  }
  std::byte* at_;
};

void Send(const Device& device, Type type, const Lease& lease) {
  __builtin_memset(out, 0, sizeof(out));
  std::byte* const message = out + kMessage;
  Put8(message, 1);
  Put8(message + 1, 1);
  Put8(message + 2, 6);
  Put32(message + 4, kTransaction);
  __builtin_memcpy(message + 28, device.mac, 6);
  Put32(message + 236, kCookie);
  Options options(message + kOptions);
  options.Add8(53, type);
  if (type == kRequest) {
    options.Add32(50, lease.address.value);
    options.Add32(54, lease.server.value);
  }
  options.AddWishes();
  const auto size = static_cast<size_t>(options.End() - message);
  std::byte* const udp = out + kEthernet + kIp;
  Put16(udp, 68);
  Put16(udp + 2, 67);
  Put16(udp + 4, static_cast<uint16_t>(kUdp + size));
  Put16(udp + 6, TransportChecksum(Mapped(kNobody), Mapped(kEverybody),
                                   kProtocolUdp, udp, kUdp + size));
  std::byte* const ip = out + kEthernet;
  Put8(ip, 0x45);
  Put16(ip + 2, static_cast<uint16_t>(kIp + kUdp + size));
  Put8(ip + 8, 64);
  Put8(ip + 9, kProtocolUdp);
  Put32(ip + 16, kEverybody.value);
  Put16(ip + 10, Checksum(ip, kIp));
  __builtin_memset(out, 0xff, 6);
  __builtin_memcpy(out + 6, device.mac, 6);
  Put16(out + 12, 0x0800);
  (void)NetWrite(device, out, kMessage + size);
}

void TakeOption(uint8_t code, const std::byte* value, size_t size,
                uint8_t& type, Lease& lease) {
  const auto address = [&] { return Ipv4Address{Get32(value)}; };
  if (code == 53 && size == 1) type = Get8(value);
  if (code == 1 && size == 4) lease.mask = address();
  if (code == 3 && size >= 4) lease.gateway = address();
  if (code == 54 && size == 4) lease.server = address();
  if (code == 51 && size == 4) lease.seconds = Get32(value);
  if (code == 26 && size == 2) lease.mtu = Get16(value);
  if (code == 121) lease.routes = size;
  if (code == 6) {
    for (size_t i = 0; i + 4 <= size && lease.dns_count < 4; i += 4) {
      lease.dns[lease.dns_count++] = {Get32(value + i)};
    }
  }
  if (code == 12 && size < sizeof(lease.name)) {
    __builtin_memcpy(lease.name, value, size);
    lease.name_size = size;
  }
}

// Whether the frame in `in` is the answer `type`, or `other`, to us.
bool Take(const Device& device, size_t size, Type type, Type other,
          uint8_t& got, Lease& lease) {
  const std::byte* const ip = in + kEthernet;
  const std::byte* const message = in + kMessage;
  if (size < kMessage + kOptions || size > kFrame || Get16(in + 12) != 0x0800 ||
      Get8(ip) != 0x45 || Get8(ip + 9) != kProtocolUdp ||
      Get16(ip + kIp + 2) != 68) {
    return false;
  }
  const size_t udp_size = Get16(ip + kIp + 4);
  if (udp_size < kUdp + kOptions || kEthernet + kIp + udp_size > size ||
      Checksum(ip, kIp) != 0 ||
      TransportChecksum(Mapped({Get32(ip + 12)}), Mapped({Get32(ip + 16)}),
                        kProtocolUdp, ip + kIp, udp_size) != 0 ||
      Get8(message) != 2 || Get32(message + 4) != kTransaction ||
      __builtin_memcmp(message + 28, device.mac, 6) != 0) {
    return false;
  }
  Lease found;
  found.address = {Get32(message + 16)};
  got = 0;
  const std::byte* at = message + kOptions;
  const std::byte* const end = ip + kIp + udp_size;
  while (end - at >= 2 && Get8(at) != 255) {
    if (Get8(at) == 0) {
      ++at;
      continue;
    }
    const size_t length = Get8(at + 1);
    if (static_cast<size_t>(end - at) < 2 + length) return false;
    TakeOption(Get8(at), at + 2, length, got, found);
    at += 2 + length;
  }
  if (got != type && got != other) return false;
  lease = found;
  return true;
}

// Sends `type` until it is answered.
bool Exchange(const Device& device, Type type, Type expected, Type other,
              uint64_t deadline, uint8_t& got, Lease& lease) {
  const Lease asked = lease;
  while (MonotonicTime() < deadline) {
    Send(device, type, asked);
    const uint64_t again = MonotonicTime() + 500 * kMillisecond;
    while (MonotonicTime() < again) {
      Poll(50 * kMillisecond);
      size_t size = sizeof(in);
      while (NetRead(device, in, size) == IoResult::kOk) {
        if (Take(device, size, expected, other, got, lease)) return true;
        size = sizeof(in);
      }
    }
  }
  return false;
}

}  // namespace

std::optional<Lease> AskForLease(const Device& device, uint64_t patience,
                                 Ipv4Address wanted) {
  const uint64_t deadline = MonotonicTime() + patience;
  uint8_t got = 0;
  Lease lease;
  if (!Exchange(device, kDiscover, kOffer, kOffer, deadline, got, lease)) {
    return std::nullopt;
  }
  if (wanted.value != 0) lease.address = wanted;
  if (!Exchange(device, kRequest, kAck, kNak, deadline, got, lease)) {
    return std::nullopt;
  }
  if (got == kNak) lease.address = kNobody;
  return lease;
}

}  // namespace serai::guest
