// SPDX-License-Identifier: Apache-2.0
#include "lib/host/tap_guard.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/pkt_cls.h>
#include <netinet/if_ether.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>

#include <array>

#include "lib/host/guard_program.h"
#include "lib/host/netlink.h"
#include "lib/host/netns.h"
#include "lib/host/traffic_control.h"

namespace serai::host {
namespace {

using Message = NetlinkPtr<nl_msg>;

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError("netlink message: out of memory");
}

// A message about the guard's filter, for libnl knows none of its kind.
absl::StatusOr<Message> FilterMessage(int type, int flags, int index) {
  Message message(::nlmsg_alloc_simple(type, flags));
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = index;
  header.tcm_parent = kIngressFilters;
  header.tcm_info = TC_H_MAKE(uint32_t{kGuardPriority} << 16, htons(ETH_P_ALL));
  if (message == nullptr ||
      ::nlmsg_append(message.get(), &header, sizeof header, NLMSG_ALIGNTO) <
          0 ||
      ::nla_put_string(message.get(), TCA_KIND, "bpf") < 0) {
    return OutOfMemory();
  }
  return message;
}

absl::Status AddFilter(nl_sock* socket, int index,
                       const std::vector<sock_filter>& program) {
  ASSIGN_OR_RETURN(
      Message message,
      FilterMessage(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, index));
  nl_msg* const m = message.get();
  nlattr* const options = ::nla_nest_start(m, TCA_OPTIONS);
  const size_t bytes = program.size() * sizeof(sock_filter);
  if (options == nullptr ||
      ::nla_put_u16(m, TCA_BPF_OPS_LEN, static_cast<uint16_t>(program.size())) <
          0 ||
      ::nla_put(m, TCA_BPF_OPS, static_cast<int>(bytes), program.data()) < 0 ||
      ::nla_put_u32(m, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT) < 0) {
    return OutOfMemory();
  }
  ::nla_nest_end(m, options);
  const int error = ::nl_send_sync(socket, message.release());
  if (error == -NLE_OBJ_NOTFOUND) {
    return absl::FailedPreconditionError(
        "adding the guard: the kernel has no BPF classifier "
        "(CONFIG_NET_CLS_BPF, module cls_bpf)");
  }
  return error < 0 ? NetlinkStatus(error, "adding the guard")
                   : absl::OkStatus();
}

absl::Status DeleteFilter(nl_sock* socket, int index) {
  ASSIGN_OR_RETURN(Message message, FilterMessage(RTM_DELTFILTER, 0, index));
  const int error = ::nl_send_sync(socket, message.release());
  return error < 0 ? NetlinkStatus(error, "deleting the old guard")
                   : absl::OkStatus();
}

// The answer to a question for a qdisc.
struct Drops {
  bool told = false;
  uint64_t frames = 0;
};

int ReadQdisc(nl_msg* message, void* argument) {
  auto* drops = static_cast<Drops*>(argument);
  std::array<nlattr*, TCA_MAX + 1> attributes = {};
  std::array<nlattr*, TCA_STATS_MAX + 1> stats = {};
  if (::nlmsg_parse(::nlmsg_hdr(message), sizeof(tcmsg), attributes.data(),
                    TCA_MAX, nullptr) < 0 ||
      attributes[TCA_STATS2] == nullptr ||
      ::nla_parse_nested(stats.data(), TCA_STATS_MAX, attributes[TCA_STATS2],
                         nullptr) < 0) {
    return NL_SKIP;
  }
  gnet_stats_queue queue = {};
  const nlattr* const told = stats[TCA_STATS_QUEUE];
  if (told == nullptr || ::nla_memcpy(&queue, told, sizeof queue) !=
                             static_cast<int>(sizeof queue)) {
    return NL_SKIP;
  }
  *drops = {true, queue.drops};
  return NL_OK;
}

}  // namespace

absl::Status SetGuard(nl_sock* socket, int index, const GuardSpec& spec) {
  ASSIGN_OR_RETURN(const std::vector<sock_filter> program,
                   GuardProgram(spec.mac, spec.addresses));
  ASSIGN_OR_RETURN(const bool present,
                   HasFilter(socket, index, kGuardPriority));
  if (present) RETURN_IF_ERROR(DeleteFilter(socket, index));
  return AddFilter(socket, index, program);
}

absl::StatusOr<uint64_t> ForgedFrames(nl_sock* socket, int index) {
  // With ECHO, the kernel answers the question and not only who listens.
  Message message(::nlmsg_alloc_simple(RTM_GETQDISC, NLM_F_ECHO));
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = index;
  header.tcm_parent = TC_H_INGRESS;
  if (message == nullptr || ::nlmsg_append(message.get(), &header,
                                           sizeof header, NLMSG_ALIGNTO) < 0) {
    return OutOfMemory();
  }
  Drops drops;
  ::nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, &ReadQdisc, &drops);
  const int error = ::nl_send_sync(socket, message.release());
  ::nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_DEFAULT, nullptr, nullptr);
  if (error < 0) return NetlinkStatus(error, "reading the ingress qdisc");
  if (!drops.told) {
    return absl::InternalError("the kernel told nothing of the ingress qdisc");
  }
  return drops.frames;
}

absl::StatusOr<uint64_t> ReadForgedFrames(int netns_fd,
                                          const std::string& name) {
  uint64_t frames = 0;
  const auto read = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const auto socket, ConnectRoute());
    ASSIGN_OR_RETURN(const auto link, GetLink(socket.get(), name));
    ASSIGN_OR_RETURN(
        frames, ForgedFrames(socket.get(), ::rtnl_link_get_ifindex(link.get())),
        name);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(netns_fd < 0 ? read() : RunInNetns(netns_fd, read));
  return frames;
}

}  // namespace serai::host
