// SPDX-License-Identifier: Apache-2.0
//
// Leads what arrives at a pod's interface to the guest it is for, of several
// that share the interface, its hardware address and its IP addresses. Runs at
// the ingress of the interface and of each guest's tap, for every frame.
//
// - A connection that a guest began is that guest's (`flows`).
// - A port that a guest declared is that guest's (`ports`).
// - ARP, neighbour discovery and what is for many hosts is every guest's: they
//   all say the same of the address, so that it is known as long as one lives.
// - All else is the first guest's.
//
// What a guest sends to the pod's own address goes to the guest it is for.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/host/steering/maps.h"

#define INLINE static inline __attribute__((always_inline))
#define SECTION(name) __attribute__((section(name), used))

static void* (*const Lookup)(void* map,
                             const void* key) = (void*)BPF_FUNC_map_lookup_elem;
static long (*const Update)(void* map, const void* key, const void* value,
                            __u64 flags) = (void*)BPF_FUNC_map_update_elem;
static long (*const Load)(const struct __sk_buff* frame, __u32 at, void* to,
                          __u32 size) = (void*)BPF_FUNC_skb_load_bytes;
static long (*const Redirect)(__u32 link,
                              __u64 flags) = (void*)BPF_FUNC_redirect;
static long (*const Copy)(struct __sk_buff* frame, __u32 link,
                          __u64 flags) = (void*)BPF_FUNC_clone_redirect;

// Put in place of these by who loads the program.
#define FLOWS ((void*)SERAI_STEERING_FLOWS)
#define PORTS ((void*)SERAI_STEERING_PORTS)
#define LINKS ((void*)SERAI_STEERING_LINKS)

enum { kIp4Header = 20, kIp6Header = 40, kFragment6 = 44, kIcmp6 = 58 };
enum {
  kEchoReply4 = 0,
  kUnreachable4 = 3,
  kEcho4 = 8,
  kExpired4 = 11,
  kBadHeader4 = 12
};
enum { kLastError6 = 4, kEcho6 = 128, kEchoReply6 = 129 };

// For whom a frame is.
enum Audience { kFirst, kEveryone, kByFlow };

INLINE __u16 Net16(__u16 value) { return __builtin_bswap16(value); }

INLINE void SetIp4(__u8* address, const __u8* ip) {
  address[10] = 0xff;
  address[11] = 0xff;
  __builtin_memcpy(address + 12, ip, 4);
}

// The ports of a segment; they are where its header begins in all protocols
// that have any.
INLINE enum Audience ReadPorts(const struct __sk_buff* frame, __u32 at,
                               bool outward, struct SteeredFlow* flow) {
  __u16 ports[2];
  if (Load(frame, at, ports, sizeof(ports)) != 0) return kFirst;
  flow->remote_port = outward ? ports[1] : ports[0];
  flow->local_port = outward ? ports[0] : ports[1];
  return kByFlow;
}

INLINE bool HasPorts(__u8 protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
         protocol == IPPROTO_SCTP;
}

// An echo is known by its number, which stands where a request's and its
// answer's are the same.
INLINE enum Audience ReadEcho(const struct __sk_buff* frame, __u32 at,
                              struct SteeredFlow* flow) {
  if (Load(frame, at + 4, &flow->local_port, 2) != 0) return kFirst;
  return kByFlow;
}

// An error is for whom it tells of: it quotes what that guest sent.
INLINE enum Audience ReadError4(const struct __sk_buff* frame, __u32 at,
                                struct SteeredFlow* flow) {
  __u8 quoted[kIp4Header];
  if (Load(frame, at + 8, quoted, sizeof(quoted)) != 0) return kFirst;
  flow->protocol = quoted[9];
  SetIp4(flow->remote, quoted + 16);
  const __u32 inner = at + 8 + (quoted[0] & 15) * 4;
  if (HasPorts(flow->protocol)) return ReadPorts(frame, inner, true, flow);
  return flow->protocol == IPPROTO_ICMP ? ReadEcho(frame, inner, flow) : kFirst;
}

INLINE enum Audience ReadError6(const struct __sk_buff* frame, __u32 at,
                                struct SteeredFlow* flow) {
  __u8 quoted[kIp6Header];
  if (Load(frame, at + 8, quoted, sizeof(quoted)) != 0) return kFirst;
  flow->protocol = quoted[6];
  __builtin_memcpy(flow->remote, quoted + 24, 16);
  const __u32 inner = at + 8 + kIp6Header;
  if (HasPorts(flow->protocol)) return ReadPorts(frame, inner, true, flow);
  return flow->protocol == kIcmp6 ? ReadEcho(frame, inner, flow) : kFirst;
}

INLINE enum Audience ReadIp4(const struct __sk_buff* frame, bool outward,
                             struct SteeredFlow* flow) {
  __u8 header[kIp4Header];
  if (Load(frame, ETH_HLEN, header, sizeof(header)) != 0) return kFirst;
  // A later fragment has no ports: whoever has the first one takes it.
  if ((header[6] & 0x1f) != 0 || header[7] != 0) return kEveryone;
  flow->protocol = header[9];
  SetIp4(flow->remote, outward ? header + 16 : header + 12);
  const __u32 at = ETH_HLEN + (header[0] & 15) * 4;
  if (HasPorts(flow->protocol)) return ReadPorts(frame, at, outward, flow);
  if (flow->protocol != IPPROTO_ICMP) return kFirst;
  __u8 type;
  if (Load(frame, at, &type, 1) != 0) return kFirst;
  if (type == (outward ? kEcho4 : kEchoReply4)) {
    return ReadEcho(frame, at, flow);
  }
  const bool error =
      type == kUnreachable4 || type == kExpired4 || type == kBadHeader4;
  return error && !outward ? ReadError4(frame, at, flow) : kFirst;
}

INLINE enum Audience ReadIp6(const struct __sk_buff* frame, bool outward,
                             struct SteeredFlow* flow) {
  __u8 header[kIp6Header];
  if (Load(frame, ETH_HLEN, header, sizeof(header)) != 0) return kFirst;
  flow->protocol = header[6];
  __builtin_memcpy(flow->remote, outward ? header + 24 : header + 8, 16);
  const __u32 at = ETH_HLEN + kIp6Header;
  if (HasPorts(flow->protocol)) return ReadPorts(frame, at, outward, flow);
  if (flow->protocol == kFragment6) return kEveryone;
  if (flow->protocol != kIcmp6) return kFirst;
  __u8 type;
  if (Load(frame, at, &type, 1) != 0) return kFirst;
  if (type == (outward ? kEcho6 : kEchoReply6)) {
    return ReadEcho(frame, at, flow);
  }
  if (type <= kLastError6 && !outward) return ReadError6(frame, at, flow);
  return type == kEcho6 ? kFirst : kEveryone;
}

// For whom `frame` is, seen as one that goes out or as one that comes in.
INLINE enum Audience Read(const struct __sk_buff* frame, bool outward,
                          struct SteeredFlow* flow) {
  struct ethhdr header;
  if (Load(frame, 0, &header, sizeof(header)) != 0) return kFirst;
  if (header.h_proto == Net16(ETH_P_ARP)) return kEveryone;
  if ((header.h_dest[0] & 1) != 0 && !outward) return kEveryone;
  if (header.h_proto == Net16(ETH_P_IPV6)) return ReadIp6(frame, outward, flow);
  if (header.h_proto != Net16(ETH_P_IP)) return kFirst;
  return ReadIp4(frame, outward, flow);
}

INLINE __u32 LinkAt(const struct SteeredLinks* links, __u32 place) {
  return links->index[place & kSteeringMask];
}

// The guest, as its place in `links`, to whom frames of the flow go.
INLINE __u32 OwnerOf(const struct SteeredFlow* flow) {
  const __u32* owner = Lookup(FLOWS, flow);
  if (owner != NULL) return *owner;
  const struct SteeredPort port = {.number = flow->local_port,
                                   .protocol = flow->protocol};
  owner = Lookup(PORTS, &port);
  return owner == NULL ? kSteeringFirst : *owner;
}

// Answers come back to who asked. What is another's is not to be had by asking:
// neither a port that it declares, nor what it began.
INLINE void Note(const struct SteeredFlow* flow, __u32 sender) {
  const struct SteeredPort port = {.number = flow->local_port,
                                   .protocol = flow->protocol};
  if (sender == kSteeringFirst || Lookup(PORTS, &port) != NULL) return;
  if (Lookup(FLOWS, flow) == NULL) Update(FLOWS, flow, &sender, BPF_NOEXIST);
}

INLINE int SendTo(__u32 link) {
  return link == 0 ? TC_ACT_STOLEN : (int)Redirect(link, 0);
}

INLINE int DeliverToAll(struct __sk_buff* frame,
                        const struct SteeredLinks* links) {
  for (__u32 place = kSteeringFirst; place < kSteeringLinks; ++place) {
    const __u32 link = links->index[place];
    if (link != 0) Copy(frame, link, 0);
  }
  return TC_ACT_STOLEN;
}

INLINE int Deliver(struct __sk_buff* frame, const struct SteeredLinks* links) {
  struct SteeredFlow flow = {};
  const enum Audience audience = Read(frame, false, &flow);
  if (audience == kEveryone) return DeliverToAll(frame, links);
  return SendTo(
      LinkAt(links, audience == kFirst ? kSteeringFirst : OwnerOf(&flow)));
}

INLINE bool IsForPodItself(const struct __sk_buff* frame) {
  __u16 macs[ETH_ALEN];
  if (Load(frame, 0, macs, sizeof(macs)) != 0) return false;
  return macs[0] == macs[3] && macs[1] == macs[4] && macs[2] == macs[5];
}

SECTION("steer") int Steer(struct __sk_buff* frame) {
  const __u32 zero = 0;
  const struct SteeredLinks* links = Lookup(LINKS, &zero);
  if (links == NULL) return TC_ACT_STOLEN;
  const __u32 outer = links->index[kSteeringOuter];
  if (frame->ifindex == outer) return Deliver(frame, links);
  __u32 sender = 0;
  for (__u32 place = kSteeringFirst; place < kSteeringLinks; ++place) {
    if (links->index[place] == frame->ifindex) sender = place;
  }
  struct SteeredFlow flow = {};
  if (Read(frame, true, &flow) == kByFlow) Note(&flow, sender);
  return IsForPodItself(frame) ? Deliver(frame, links) : SendTo(outer);
}
